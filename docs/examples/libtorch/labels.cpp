// Label a slab with a TorchScript file of `monai-app export`, without Python.
//
//     labels model.ts slab.raw 512 512 labels.raw
//
// slab.raw holds the grey values (S*C, rows, columns) as they come from the microscope, slice-major (z-1:ICE, z-1:TLD,
// z:ICE, ...), in the type that the file names; labels.raw becomes (rows, columns) uint8, 1..K for the phases.
// The file is a program: load only what you trust.

#include <torch/script.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

// Reads single values of "model_description" in metadata.json, whose numbers are flat for this. A key must be there
// exactly once in the object, at its own level, and have the kind of value that is asked for; all else is an error.
class Description {
 public:
  explicit Description(const std::string& metadata) : text_(object(metadata, "model_description")) {}

  std::vector<double> numbers(const std::string& key) const {
    size_t at = value(text_, key);
    std::vector<double> found;
    expect(key, at, '[');
    do {
      found.push_back(number(key, at));
      at = skip(text_, at);
    } while (text_[at] == ',' && ++at);
    expect(key, at, ']');
    return found;
  }

  int64_t whole(const std::string& key) const {
    size_t at = value(text_, key);
    const double found = number(key, at);
    if (found < 1 || found != static_cast<double>(static_cast<int64_t>(found))) fail(key);
    return static_cast<int64_t>(found);
  }

  std::string word(const std::string& key) const {
    const size_t at = value(text_, key);
    const size_t end = text_[at] == '"' ? string_end(text_, at) : std::string::npos;
    if (end == std::string::npos) fail(key);
    return text_.substr(at + 1, end - at - 2);
  }

 private:
  [[noreturn]] static void fail(const std::string& key) {
    throw std::runtime_error("metadata.json has no valid \"" + key + "\" where it should; export the model again");
  }

  static size_t skip(const std::string& text, size_t at) {
    at = text.find_first_not_of(" \t\r\n", at);
    if (at == std::string::npos) throw std::runtime_error("metadata.json ends too early; export the model again");
    return at;
  }

  // The place behind the string that begins at `at`.
  static size_t string_end(const std::string& text, size_t at) {
    for (++at; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\') ++at;
    }
    if (at >= text.size()) throw std::runtime_error("metadata.json ends too early; export the model again");
    return at + 1;
  }

  // The place of a key's value in an object: keys of objects inside it, and strings that look like keys, do not count.
  static size_t value(const std::string& text, const std::string& key) {
    size_t found = std::string::npos;
    int depth = 0;
    for (size_t at = 0; at < text.size(); ++at) {
      const char letter = text[at];
      if (letter == '{' || letter == '[') ++depth;
      if (letter == '}' || letter == ']') --depth;
      if (letter != '"') continue;
      const size_t end = string_end(text, at);
      const bool named = depth == 1 && text.substr(at + 1, end - at - 2) == key;
      const size_t colon = skip(text, end);
      if (named && text[colon] == ':') {
        if (found != std::string::npos) fail(key);
        found = skip(text, colon + 1);
      }
      at = end - 1;
    }
    if (found == std::string::npos) fail(key);
    return found;
  }

  static std::string object(const std::string& text, const std::string& key) {
    const size_t begin = value(text, key);
    if (text[begin] != '{') fail(key);
    int depth = 0;
    for (size_t at = begin; at < text.size(); ++at) {
      if (text[at] == '"') {
        at = string_end(text, at) - 1;
      } else if (text[at] == '{') {
        ++depth;
      } else if (text[at] == '}' && --depth == 0) {
        return text.substr(begin, at + 1 - begin);
      }
    }
    fail(key);
  }

  double number(const std::string& key, size_t& at) const {
    at = skip(text_, at);
    char* end = nullptr;
    const double found = std::strtod(text_.c_str() + at, &end);
    if (end == text_.c_str() + at) fail(key);
    at = static_cast<size_t>(end - text_.c_str());
    return found;
  }

  void expect(const std::string& key, size_t& at, char letter) const {
    at = skip(text_, at);
    if (text_[at] != letter) fail(key);
    ++at;
  }

  std::string text_;
};

torch::Tensor per_channel(const std::vector<double>& values) {
  return torch::tensor(values, torch::kFloat64).to(torch::kFloat32).view({-1, 1, 1});
}

// (1, S*C, rows, columns) float32 of a file of grey values.
torch::Tensor read_slab(const std::string& path, const Description& description, int64_t rows, int64_t columns) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::string kind = description.word("dtype");
  if (kind != "uint8" && kind != "uint16") throw std::runtime_error("dtype " + kind + " is not known here");
  const int64_t channels = static_cast<int64_t>(description.numbers("channel_mean").size());
  const int64_t bytes = kind == "uint8" ? 1 : 2;
  if (!file || static_cast<int64_t>(content.size()) != channels * rows * columns * bytes) {
    throw std::runtime_error(path + " does not hold " + std::to_string(channels) + " channels of these rows and columns");
  }
  const auto type = bytes == 1 ? torch::kUInt8 : torch::kUInt16;
  return torch::from_blob(content.data(), {1, channels, rows, columns}, type).to(torch::kFloat32);
}

void label(char** words) {
  const int64_t rows = std::stoll(words[3]), columns = std::stoll(words[4]);
  std::unordered_map<std::string, std::string> files{{"metadata.json", ""}};
  torch::jit::script::Module network = torch::jit::load(words[1], torch::kCPU, files);
  const Description description(files["metadata.json"]);

  // What the network sees: (grey - mean) / std of each channel.
  const torch::Tensor grey = read_slab(words[2], description, rows, columns);
  const torch::Tensor mean = per_channel(description.numbers("channel_mean"));
  const torch::Tensor std = per_channel(description.numbers("channel_std"));
  torch::Tensor image = (grey - mean) / std;

  // Sides must be multiples of the stride; the last row and column are repeated for that, and cut off again.
  const int64_t stride = description.whole("stride");
  const int64_t below = (stride - rows % stride) % stride, right = (stride - columns % stride) % stride;
  image = at::replication_pad2d(image, {0, right, 0, below});
  torch::NoGradGuard no_gradients;
  torch::Tensor logits = network.forward({image}).toTensor()[0].narrow(1, 0, rows).narrow(2, 0, columns);
  const torch::Tensor labels = (logits.argmax(0) + 1).to(torch::kUInt8).contiguous();

  std::ofstream target(words[5], std::ios::binary);
  target.write(static_cast<const char*>(labels.data_ptr()), static_cast<std::streamsize>(labels.numel()));
  if (!target.flush()) throw std::runtime_error(std::string(words[5]) + " cannot be written");
}

}  // namespace

int main(int count, char** words) {
  if (count != 6) {
    std::cerr << "labels MODEL.ts SLAB ROWS COLUMNS LABELS\n";
    return 2;
  }
  try {
    label(words);
  } catch (const std::exception& error) {
    std::cerr << "labels: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
