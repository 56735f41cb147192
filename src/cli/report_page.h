// A report as one self-contained HTML page: figures, plots with their data as tables, tables, the config.
//
// It asks nothing of a network, and its content policy forbids it to. It follows the reader's choice of light
// or dark. Series are told apart without colour, and every plot's data can be read as a table. The script
// only shows values that are pointed at and sorts tables: without it nothing is missing.
//
// Thread contract: pure functions.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "cli/plot.h"

namespace kelvin::cli {

// One figure at the top: "Hit ratio", "45.2 %", "lru: 38.0 %".
struct Headline {
  std::string name;
  std::string value;
  std::string beside;
};

struct Cell {
  std::string text;
  double order = std::numeric_limits<double>::quiet_NaN();  // what it is sorted by; not a number: by its text
};

struct PageTable {
  std::string title;
  std::string caption;
  std::vector<std::string> head;
  struct Row {
    std::vector<Cell> cells;
    bool marked = false;
  };
  std::vector<Row> rows;
};

struct ReportPage {
  std::string title;
  std::vector<std::string> traces;
  std::string config_name;
  std::string config_text;  // TOML
  std::vector<Headline> headlines;
  std::vector<Plot> plots;
  std::vector<PageTable> tables;
};

std::string report_page(const ReportPage& page);

// Of the page: see report_assets.cc.
extern const char* const kReportStyle;
extern const char* const kReportScript;

}  // namespace kelvin::cli
