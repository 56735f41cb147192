// See report_page.h.
#include "cli/report_page.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <utility>

#include "cli/svg_plot.h"

namespace kelvin::cli {
namespace {

class Page {
 public:
  explicit Page(const ReportPage& page) : page_(page) {}

  std::string html() {
    head();
    put("<main>\n<section class=\"plots\">\n");
    for (const Plot& plot : page_.plots) figure(plot);
    put("</section>\n");
    for (const PageTable& shown : page_.tables) table_card(shown);
    put("<section class=\"card\"><h2>The config</h2><pre tabindex=\"0\"><code>{}</code></pre></section>\n",
        escaped(page_.config_text));
    put("</main>\n<footer>Written by kelvin {}.</footer>\n<script>{}</script>\n</body>\n</html>\n",
        KELVIN_VERSION, kReportScript);
    return std::move(out_);
  }

 private:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  void head() {
    const std::string title = escaped(page_.title);
    put("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
        "'unsafe-inline'; "
        "script-src 'unsafe-inline'\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light "
        "dark\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n",
        title, kReportStyle);
    put("<header>\n<h1>{}</h1>\n<dl class=\"source\"><div><dt>{}</dt><dd>{}</dd></div>", title,
        page_.traces.size() == 1 ? "Trace" : "Traces",
        escaped(fmt::format("{}", fmt::join(page_.traces, ", "))));
    put("<div><dt>Config</dt><dd>{}</dd></div></dl>\n<ul class=\"headlines\">\n", escaped(page_.config_name));
    for (const Headline& line : page_.headlines) {
      put("<li><span class=\"name\">{}</span><span class=\"value\">{}</span><span "
          "class=\"beside\">{}</span></li>\n",
          escaped(line.name), escaped(line.value), escaped(line.beside));
    }
    put("</ul>\n</header>\n");
  }

  void figure(const Plot& plot) {
    put("<figure class=\"card\" id=\"{0}\" data-kind=\"{1}\">\n<h2 "
        "id=\"{0}-title\">{2}</h2>\n<figcaption>{3}</figcaption>\n",
        plot.id, plot.kind == PlotKind::kPoints ? "points" : "lines", escaped(plot.title),
        escaped(plot.caption));
    put("{}<div class=\"stage\">{}<div class=\"tip\" hidden></div></div>\n", legend_of(plot), svg_of(plot));
    put("<details><summary>Data as a table</summary>\n");
    table(plot.kind == PlotKind::kPoints ? table_of_points(plot) : table_by_x(plot));
    put("</details>\n</figure>\n");
  }

  static Cell value_cell(const Axis& axis, double value) { return {unit_text(axis.unit, value), value}; }

  // One row for each x, one column for each series.
  static PageTable table_by_x(const Plot& plot) {
    std::map<double, std::vector<Cell>> rows;
    PageTable shown;
    shown.head.push_back(plot.x.label);
    for (std::size_t s = 0; s < plot.series.size(); ++s) {
      const Series& series = plot.series[s];
      shown.head.push_back(series.name);
      for (std::size_t i = 0; i < series.x.size(); ++i) {
        std::vector<Cell>& row = rows[series.x[i]];
        row.resize(plot.series.size());
        row[s] = value_cell(plot.y, series.y[i]);
      }
    }
    for (auto& [x, cells] : rows) {
      PageTable::Row& row = shown.rows.emplace_back();
      row.cells.push_back(value_cell(plot.x, x));
      row.cells.insert(row.cells.end(), cells.begin(), cells.end());
    }
    return shown;
  }

  static PageTable table_of_points(const Plot& plot) {
    PageTable shown;
    shown.head = {"Series", plot.x.label, plot.y.label, "What"};
    for (const Series& series : plot.series) {
      for (std::size_t i = 0; i < series.x.size(); ++i) {
        shown.rows.push_back({{{series.name},
                               value_cell(plot.x, series.x[i]),
                               value_cell(plot.y, series.y[i]),
                               {i < series.notes.size() ? series.notes[i] : std::string()}},
                              false});
      }
    }
    return shown;
  }

  void table_card(const PageTable& shown) {
    put("<section class=\"card\"><h2>{}</h2>\n<p>{}</p>\n", escaped(shown.title), escaped(shown.caption));
    table(shown);
    put("</section>\n");
  }

  void table(const PageTable& shown) {
    put("<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>");
    for (const std::string& name : shown.head) {
      put("<th scope=\"col\"><button type=\"button\">{}</button></th>", escaped(name));
    }
    put("</tr></thead>\n<tbody>\n");
    for (const PageTable::Row& row : shown.rows) {
      put("<tr{}>", row.marked ? " class=\"marked\"" : "");
      for (const Cell& cell : row.cells) {
        if (std::isnan(cell.order)) {
          put("<td>{}</td>", escaped(cell.text));
        } else {
          put("<td class=\"number\" data-order=\"{}\">{}</td>", cell.order, escaped(cell.text));
        }
      }
      put("</tr>\n");
    }
    put("</tbody>\n</table></div>\n");
  }

  const ReportPage& page_;
  std::string out_;
};

}  // namespace

std::string report_page(const ReportPage& page) { return Page(page).html(); }

}  // namespace kelvin::cli
