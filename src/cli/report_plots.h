// The plots of a report, made of what simulations found. A plot more is a function here and a line in
// report_of_sim or report_of_tuning.
//
// Thread contract: pure functions.
#pragma once

#include <string>
#include <vector>

#include "cli/report_page.h"
#include "cli/sim_report.h"
#include "cli/sweep.h"
#include "cli/tune_report.h"

namespace kelvin::cli {

// One of several simulations that are held against each other.
struct NamedResult {
  std::string name;
  const SimResult* result = nullptr;
  bool strong = false;  // the one that this is about
};

// Hit ratio against capacity: a line for each policy, and MIN.
Plot capacity_plot(const std::vector<SweepCurve>& curves);

// Blocks found, as a share of those asked for, by tier, in each stretch of the trace.
Plot hits_plot(const SimResult& result, const Config& config);

// How long a request waited for its loads, on average, in each stretch of the trace.
Plot wait_plot(const std::vector<NamedResult>& results);

// The share of load time that requests no longer waited for with prefetching, in each stretch of the trace:
// 1 - T_with / T_without. Below 0: they waited longer.
Plot hidden_plot(const SimResult& with, const SimResult& without);

// Every setting tried: hits against bytes written.
Plot tried_plot(const TuneReport& report);

ReportPage report_of_sim(const SimReport& report, const Config& config, const Sweep& sweep);
ReportPage report_of_tuning(const TuneReport& report, const Sweep& sweep);

}  // namespace kelvin::cli
