// A Plot as inline SVG, for a page whose style sheet gives the colours.
//
// Classes the style sheet knows: grid, axis, tick, label, line, area, mark, and c0 .. c7 for the series'
// colours (cb: a bound). Series differ by dash and marker (areas: by pattern) as well as by colour. Each
// point carries data-series, data-x, data-y, data-note, and data-at (its place), which the page's script
// shows.
//
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "cli/plot.h"

namespace kelvin::cli {

// Fit for HTML text and for attributes in double quotes.
std::string escaped(std::string_view text);

// The drawing. It scales with the width it is given.
std::string svg_of(const Plot& plot);

// The list of its series, each with its line and marker or its pattern.
std::string legend_of(const Plot& plot);

}  // namespace kelvin::cli
