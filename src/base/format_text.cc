// See format_text.h.
#include "base/format_text.h"

namespace kelvin {

std::string format_values(fmt::string_view format, fmt::format_args values) {
  return fmt::vformat(format, values);
}

}  // namespace kelvin
