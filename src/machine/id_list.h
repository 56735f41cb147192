// Lists of numbers as the kernel writes them: "0-3,8".
//
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kelvin {

// In rising order, each once. What is no number ends the list.
std::vector<int> read_id_list(std::string_view text);

// The same the other way; "none" of an empty list.
std::string id_list_text(const std::vector<int>& ids);

}  // namespace kelvin
