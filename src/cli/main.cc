// The kelvin command.
#include "cli/commands.h"

int main(int argc, char** argv) { return kelvin::cli::run_command_line(argc, argv); }
