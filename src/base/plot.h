// Drawing with gnuplot.
#pragma once
#include <filesystem>
#include <string>

namespace ichigo {

// Draws what gnuplot's `commands` say as an SVG of this size. The file appears when it is whole. Throws Error without
// gnuplot or where it cannot be written.
void draw_plot(const std::filesystem::path& file, int width, int height, const std::string& commands);

}  // namespace ichigo
