// Checks and times the CUDA kernels of the losses on the GPU of this machine; bench/gpu.sh builds
// and runs it. Without Node and libtorch, so that a toolkit is all it takes.
//
//   loss_cuda check [CLASSES...]    each loss against float64, in each of the ways to call it
//   loss_cuda speed FILE [DIVIDE]   times beside a copy, into a CSV; rows divided by DIVIDE
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "dece_loss.h"

namespace {

using dece::DType;
using dece::Loss;
using dece::LossOptions;

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

// Device memory that begins at a multiple of 256 bytes.
struct Buffer {
  explicit Buffer(size_t bytes) : bytes(bytes) { check(cudaMalloc(&data, bytes), "cudaMalloc"); }
  Buffer(const Buffer&) = delete;
  ~Buffer() { cudaFree(data); }
  char* at(size_t offset = 0) const { return static_cast<char*>(data) + offset; }
  void put(const void* from, size_t size, size_t offset = 0) const {
    check(cudaMemcpy(at(offset), from, size, cudaMemcpyDefault), "cudaMemcpy");
  }
  std::vector<char> get(size_t size, size_t offset = 0) const {
    std::vector<char> all(size);
    check(cudaMemcpy(all.data(), at(offset), size, cudaMemcpyDefault), "cudaMemcpy");
    return all;
  }
  void spoil() const { check(cudaMemset(data, 0xff, bytes), "cudaMemset"); }
  void* data = nullptr;
  size_t bytes;
};

size_t size_of(DType dtype) { return dtype == DType::float32 ? 4 : 2; }

// Logits of seven bits, which float32 and bfloat16 hold alike.
std::vector<float> make_logits(int64_t rows, int64_t classes, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(rows * classes);
  for (float& logit : logits) {
    logit = normal(random);
    uint32_t bits;
    std::memcpy(&bits, &logit, sizeof bits);
    bits &= 0xffff0000;
    std::memcpy(&logit, &bits, sizeof bits);
  }
  return logits;
}

std::vector<char> encode(const std::vector<float>& values, DType dtype) {
  std::vector<char> bytes(values.size() * size_of(dtype));
  for (size_t i = 0; i < values.size(); i++) {
    const char* from = reinterpret_cast<const char*>(&values[i]) + 4 - size_of(dtype);
    std::memcpy(&bytes[i * size_of(dtype)], from, size_of(dtype));
  }
  return bytes;
}

std::vector<float> decode(const std::vector<char>& bytes, DType dtype) {
  std::vector<float> values(bytes.size() / size_of(dtype), 0.0F);
  for (size_t i = 0; i < values.size(); i++) {
    char* to = reinterpret_cast<char*>(&values[i]) + 4 - size_of(dtype);
    std::memcpy(to, &bytes[i * size_of(dtype)], size_of(dtype));
  }
  return values;
}

LossOptions options_of(Loss loss, double smoothing) {
  LossOptions options;
  options.loss = loss;
  options.alpha = loss == Loss::in_trust ? 1 : 0.8;
  options.one_minus_alpha = 1 - options.alpha;
  options.beta = 0.8;
  options.delta = 0.5;
  options.q = 0.7;
  options.label_smoothing = smoothing;
  return options;
}

struct Named {
  const char* name;
  LossOptions options;
};
const std::vector<Named> losses = {
    {"dece", options_of(Loss::dece, 0.05)},       {"dece unsmoothed", options_of(Loss::dece, 0)},
    {"ce", options_of(Loss::cross_entropy, 0.1)}, {"gce", options_of(Loss::gce, 0)},
    {"in-trust", options_of(Loss::in_trust, 0)},
};

// The formulas of dece_loss.h as they stand there, in float64.
double reference(const float* logits, int64_t classes, int64_t label, const LossOptions& options,
                 std::vector<double>& gradient) {
  const double max = *std::max_element(logits, logits + classes);
  std::vector<double> p(classes), slope(classes);  // of the loss by p
  double total = 0, loss = 0, mean = 0;
  for (int64_t i = 0; i < classes; i++) total += p[i] = std::exp(logits[i] - max);
  for (double& one : p) one /= total;
  const double spread = options.label_smoothing / double(classes);
  for (int64_t i = 0; i < classes; i++) {
    const double hot = i == label, y = hot * (1 - options.label_smoothing) + spread;
    if (options.loss == Loss::dece) {
      const double blend = options.alpha * p[i] + options.one_minus_alpha * y;
      loss -= y > 0 ? y * std::log(blend) : 0;
      slope[i] = y > 0 ? -options.alpha * y / blend : 0;
    } else if (options.loss == Loss::cross_entropy) {
      loss -= y * (logits[i] - max - std::log(total));
      slope[i] = y;  // the gradient is p - y, also where p is 0
    } else if (options.loss == Loss::gce) {
      loss += hot * (1 - std::pow(p[i], options.q)) / options.q;
      slope[i] = hot > 0 ? -std::pow(p[i], options.q - 1) : 0;
    } else {
      const double s = options.delta * p[i] + (1 - options.delta) * std::max(hot, 1e-4);
      loss -= options.beta * p[i] * std::log(s);
      if (hot > 0) loss -= options.alpha * std::log(p[i]);
      slope[i] = -options.beta * (std::log(s) + options.delta * p[i] / s);
      if (hot > 0) slope[i] -= options.alpha / p[i];
    }
    mean += p[i] * slope[i];
  }
  gradient.resize(classes);
  for (int64_t i = 0; i < classes; i++) {
    gradient[i] = options.loss == Loss::cross_entropy ? p[i] - slope[i] : p[i] * (slope[i] - mean);
  }
  return loss;
}

// A problem on the device, and what comes of it in one of the ways to call the kernels.
enum class Way { given_array, in_place, later, graph };
const char* const way_names[] = {"given array", "in place", "later", "graph"};

struct Result {
  std::vector<char> losses, gradient;
  bool operator==(const Result& other) const {
    return losses == other.losses && gradient == other.gradient;
  }
};

struct Problem {
  int64_t rows, classes;
  DType dtype;
  size_t offset;  // of the logits and the gradient from an aligned place, in bytes
  std::vector<char> logits;
  std::vector<int64_t> labels;

  Result run(LossOptions options, Way way) const {
    const Buffer from(logits.size() + offset), other(logits.size() + offset);
    const Buffer targets(8 * rows), found(4 * rows), states(sizeof(dece::RowState) * rows);
    for (const Buffer* buffer : {&from, &other, &found, &states}) buffer->spoil();
    from.put(logits.data(), logits.size(), offset);
    targets.put(labels.data(), 8 * rows);
    char* const to = (way == Way::in_place ? from : other).at(offset);
    auto* const row_states = reinterpret_cast<dece::RowState*>(states.data);
    const auto* label = reinterpret_cast<const int64_t*>(targets.data);
    auto* loss = reinterpret_cast<float*>(found.data);
    cudaStream_t stream;
    check(cudaStreamCreate(&stream), "cudaStreamCreate");
    const auto call = [&] {
      dece::loss_and_gradient_cuda(from.at(offset), dtype, label, rows, classes, options, loss,
                                   way == Way::later ? nullptr : to, stream,
                                   way == Way::later ? row_states : nullptr);
      if (way == Way::later) {
        dece::gradient_cuda(from.at(offset), dtype, label, rows, classes, options, row_states, to,
                            stream);
      }
    };
    if (way == Way::graph) {
      cudaGraph_t graph;
      cudaGraphExec_t ready;
      check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin of a graph");
      call();
      check(cudaStreamEndCapture(stream, &graph), "end of a graph");
      check(cudaGraphInstantiate(&ready, graph, 0), "cudaGraphInstantiate");
      check(cudaGraphLaunch(ready, stream), "cudaGraphLaunch");
      check(cudaStreamSynchronize(stream), "a graph");
      cudaGraphExecDestroy(ready);
      cudaGraphDestroy(graph);
    } else {
      call();
    }
    check(cudaStreamSynchronize(stream), "a kernel");
    cudaStreamDestroy(stream);
    const Buffer& gradient = way == Way::in_place ? from : other;
    return {found.get(4 * rows), gradient.get(logits.size(), offset)};
  }
};

// Rows: as they come, learnt, ignored, with a label that does not exist, with a NaN, half masked.
Problem make_problem(int64_t classes, DType dtype, bool aligned, std::vector<float>& logits) {
  constexpr int64_t rows = 6;
  logits = make_logits(rows, classes, uint32_t(classes));
  std::vector<int64_t> labels = {classes - 1, classes / 2, -100, classes, 0, 0};
  logits[classes + labels[1]] = 16;
  logits[5 * classes - 1] = NAN;
  for (int64_t i = 1; i <= classes / 2; i++) logits[6 * classes - i] = -INFINITY;
  return {rows, classes, dtype, aligned ? 0 : size_of(dtype), encode(logits, dtype), labels};
}

int compare(const Problem& problem, const std::vector<float>& logits, const Named& loss, Way way,
            const Result& result) {
  const auto found_losses = decode(result.losses, DType::float32);
  const auto found = decode(result.gradient, problem.dtype);
  const double tolerance = problem.dtype == DType::float32 ? 1e-5 : 4e-3;
  int wrong = 0;
  for (int64_t row = 0; row < problem.rows; row++) {
    const float* slopes = &found[row * problem.classes];
    double error = 0, loss_error = 0;
    if (row >= 2 && row <= 4) {
      const auto is_right = [&](float x) { return row == 2 ? x == 0 : std::isnan(x); };
      error = !std::all_of(slopes, slopes + problem.classes, is_right);
      loss_error = !is_right(found_losses[row]);
    } else {
      std::vector<double> expected;
      const double value = reference(&logits[row * problem.classes], problem.classes,
                                     problem.labels[row], loss.options, expected);
      double norm = 0;
      for (int64_t i = 0; i < problem.classes; i++) {
        error += std::pow(slopes[i] - expected[i], 2);
        norm += std::pow(expected[i], 2);
      }
      error = std::sqrt(error / std::max(norm, 1e-40));
      loss_error = found_losses[row] == value
                       ? 0
                       : std::abs(found_losses[row] - value) / std::max(1.0, std::abs(value));
    }
    if (error <= tolerance && loss_error <= 1e-5) continue;
    std::printf(
        "WRONG %s, %s, %lld classes, %d bytes, offset %zu, row %lld: gradient off by %.1e, "
        "loss by %.1e\n",
        loss.name, way_names[int(way)], (long long)problem.classes, int(size_of(problem.dtype)),
        problem.offset, (long long)row, error, loss_error);
    wrong++;
  }
  return wrong;
}

int check_all(const std::vector<int64_t>& widths) {
  int calls = 0, wrong = 0;
  for (const int64_t classes : widths) {
    for (const DType dtype : {DType::float32, DType::bfloat16}) {
      for (const bool aligned : {true, false}) {
        std::vector<float> logits;
        const Problem problem = make_problem(classes, dtype, aligned, logits);
        for (const Named& loss : losses) {
          const Result first = problem.run(loss.options, Way::given_array);
          for (const Way way : {Way::given_array, Way::in_place, Way::later, Way::graph}) {
            const Result again = problem.run(loss.options, way);
            wrong += compare(problem, logits, loss, way, again);
            calls++;
            if (way == Way::later || again == first) continue;
            std::printf("WRONG %s, %s, %lld classes: not the bits of the first call\n", loss.name,
                        way_names[int(way)], (long long)classes);
            wrong++;
          }
        }
      }
    }
  }
  std::printf("%d calls checked, %d wrong\n", calls, wrong);
  return wrong > 0;
}

// Milliseconds of each run, by the device's clock; `prepare` is not timed.
std::vector<float> time_of(const std::function<void()>& prepare, const std::function<void()>& run) {
  cudaEvent_t start, end;
  check(cudaEventCreate(&start), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<float> times;
  for (int i = 0; i < 65; i++) {
    prepare();
    check(cudaEventRecord(start, nullptr), "cudaEventRecord");
    run();
    check(cudaEventRecord(end, nullptr), "cudaEventRecord");
    check(cudaEventSynchronize(end), "a timed kernel");
    float ms;
    check(cudaEventElapsedTime(&ms, start, end), "cudaEventElapsedTime");
    if (i >= 15) times.push_back(ms);
  }
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  std::sort(times.begin(), times.end());
  return times;
}

void time_shape(int64_t rows, int64_t classes, DType dtype, std::ofstream& file) {
  const size_t row_bytes = classes * size_of(dtype), bytes = rows * row_bytes;
  const Buffer source(bytes), target(bytes), labels(8 * rows), found(4 * rows);
  const Buffer states(sizeof(dece::RowState) * rows);
  constexpr int64_t drawn = 61;  // rows, one after the other again and again
  const auto some = encode(make_logits(drawn, classes, 1), dtype);
  std::vector<int64_t> targets(rows);
  for (int64_t i = 0; i < rows; i++) targets[i] = i * 7919 % classes;
  for (int64_t row = 0; row < rows; row += drawn) {
    source.put(some.data(), std::min(drawn, rows - row) * row_bytes, row * row_bytes);
  }
  labels.put(targets.data(), 8 * rows);
  const auto* label = reinterpret_cast<const int64_t*>(labels.data);
  auto* loss = reinterpret_cast<float*>(found.data);
  auto* kept = reinterpret_cast<dece::RowState*>(states.data);
  const auto copy = [&] {
    check(cudaMemcpyAsync(target.data, source.data, bytes, cudaMemcpyDeviceToDevice, nullptr),
          "cudaMemcpyAsync");
  };
  const auto whole = [&](const LossOptions& options, void* from, void* to) {
    dece::loss_and_gradient_cuda(from, dtype, label, rows, classes, options, loss, to, nullptr,
                                 to == nullptr ? kept : nullptr);
  };
  double copy_ms = 0;
  const auto time = [&](const char* name, const char* place, double passes,
                        const std::function<void()>& prepare, const std::function<void()>& run) {
    const auto times = time_of(prepare, run);
    const double ms = times[times.size() / 2];
    if (copy_ms == 0) copy_ms = ms;
    const double of_copy = copy_ms * passes / 2 / ms;
    file << name << ',' << place << ',' << (dtype == DType::float32 ? "float32" : "bfloat16") << ','
         << rows << ',' << classes << ',' << ms << ',' << times[times.size() / 4] << ','
         << times[times.size() * 3 / 4] << ',' << times[0] << ',' << passes * bytes / ms / 1e6
         << ',' << of_copy << '\n';
    std::printf("%-16s %-12s %d bytes %6lld x %-6lld %8.3f ms  %5.1f %% of a copy\n", name, place,
                int(size_of(dtype)), (long long)rows, (long long)classes, ms, 100 * of_copy);
  };
  const auto nothing = [] {};
  time("copy", "given array", 2, nothing, copy);
  for (const Named& one : losses) {
    time(one.name, "given array", 2, nothing,
         [&] { whole(one.options, source.data, target.data); });
  }
  const auto& dece_options = losses[0].options;
  time("dece", "in place", 2, copy, [&] { whole(dece_options, target.data, target.data); });
  time("dece", "losses alone", 1, nothing, [&] { whole(dece_options, source.data, nullptr); });
  time("dece", "gradient alone", 2, nothing, [&] {
    dece::gradient_cuda(source.data, dtype, label, rows, classes, dece_options, kept, target.data,
                        nullptr);
  });
}

int time_all(const char* path, int64_t divide) {
  std::ofstream file(path);
  file << "loss,place,dtype,rows,classes,ms,quarter,threeQuarters,least,gbPerSecond,ofCopy\n";
  const std::vector<std::pair<int64_t, int64_t>> shapes = {
      {4096, 32128}, {8192, 51200}, {16384, 32016}, {4096, 152064}, {8192, 50257}, {64, 32128}};
  for (const auto& [rows, classes] : shapes) {
    for (const DType dtype : {DType::float32, DType::bfloat16}) {
      time_shape(std::max<int64_t>(1, rows / divide), classes, dtype, file);
    }
  }
  return !file.flush();
}

}  // namespace

int main(int count, char** arguments) {
  const std::string task = count > 1 ? arguments[1] : "";
  if (task == "speed" && count > 2)
    return time_all(arguments[2], count > 3 ? std::atoll(arguments[3]) : 1);
  if (task != "check") {
    std::fprintf(stderr, "loss_cuda check [CLASSES...] | speed FILE [DIVIDE]\n");
    return 2;
  }
  std::vector<int64_t> widths;
  for (int i = 2; i < count; i++) widths.push_back(std::atoll(arguments[i]));
  // A block, clusters of 2 to 8 of either size, too wide for them, and odd ones.
  if (widths.empty())
    widths = {2, 8, 1000, 1001, 8192, 8200, 32128, 50257, 51200, 65544, 152064, 163848};
  return check_all(widths);
}
