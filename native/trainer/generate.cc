#include "generate.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "decoder.h"
#include "parallel.h"

namespace dece {

using torch::Tensor;

namespace {

using Ids = std::vector<int32_t>;

bool contains(const std::vector<int64_t>& values, int64_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

Tensor as_tensor(const std::vector<int64_t>& ids, torch::Device device) {
  return at::tensor(ids, torch::kLong).to(device);
}

std::vector<Ids> greedy(const Model& model, Decoder& decoder, int64_t rows,
                        const GenerateOptions& options, const StopFlag& stop) {
  std::vector<Ids> outputs(rows);
  std::vector<int64_t> open(rows);  // the output that each row of the batch writes
  std::iota(open.begin(), open.end(), 0);
  auto next = decoder.first_ids();
  std::vector<char> done(rows, false);

  for (int64_t step = 0; step < options.max_new_tokens; step++) {
    stop.check();
    const auto chosen = decoder.step(as_tensor(next, model.device())).argmax(-1).cpu();
    const auto* ids = chosen.const_data_ptr<int64_t>();
    std::vector<int64_t> kept;
    for (size_t row = 0; row < open.size(); row++) {
      next[row] = ids[row];
      done[row] = done[row] || contains(options.eos_token_ids, ids[row]);
      if (done[row]) continue;
      outputs[open[row]].push_back(int32_t(ids[row]));
      kept.push_back(int64_t(row));
    }
    if (kept.empty()) break;
    // Finished rows cost as much as others until they go; their going costs a copy of the cache.
    if (kept.size() * 4 > open.size() * 3) continue;
    decoder.keep(kept);
    for (size_t i = 0; i < kept.size(); i++) {
      open[i] = open[kept[i]];
      next[i] = next[kept[i]];
    }
    open.resize(kept.size());
    next.resize(kept.size());
    done.assign(kept.size(), false);
  }
  return outputs;
}

// A sequence with the sum of its log-probabilities; divided by the length once it is finished.
struct Hypothesis {
  Ids ids;
  float score;
  bool finished = false;
};

// What transformers puts in place of minus infinity: it is added, so that float32 rounding of
// what it swallows decides ties there as here.
constexpr float never = -1e9F;

// A continuation of a beam by one id.
struct Candidate {
  int64_t beam;
  int32_t id;
  float score;
};

// The beams of one prompt.
class BeamItem {
 public:
  explicit BeamItem(int64_t beams) {
    running_.assign(beams, {{}, never});
    running_[0].score = 0;  // so that the first step does not choose one id `beams` times
    best_.assign(beams, {{}, never});
  }

  float score(int64_t beam) const { return running_[beam].score; }
  int64_t last(int64_t beam) const { return running_[beam].ids.back(); }
  bool improvable() const { return improvable_; }
  const Ids& result() const { return best_.front().ids; }

  // candidates by falling score, at least two for each beam; length counts the new id. Returns the
  // beam that each new beam goes on from.
  std::vector<int64_t> advance(const std::vector<Candidate>& candidates, int64_t length, bool last,
                               const std::vector<int64_t>& eos) {
    finish(candidates, length, last, eos);
    const auto parents = go_on(candidates, last, eos);
    const auto worst = std::min_element(best_.begin(), best_.end(), by_score)->score;
    const bool full =
        std::all_of(best_.begin(), best_.end(), [](const auto& found) { return found.finished; });
    improvable_ = !last && running_[0].score / float(length) > (full ? worst : never);
    return parents;
  }

 private:
  static bool by_score(const Hypothesis& a, const Hypothesis& b) { return a.score < b.score; }

  // The best `beams` of what was finished before and what has just ended among the first `beams`.
  void finish(const std::vector<Candidate>& candidates, int64_t length, bool last,
              const std::vector<int64_t>& eos) {
    const auto beams = best_.size();
    for (size_t i = 0; i < beams; i++) {
      const auto& [beam, id, score] = candidates[i];
      const bool ended = contains(eos, id);
      if (!ended && !last) continue;
      Hypothesis found{running_[beam].ids, score / float(length), true};
      if (!ended) found.ids.push_back(id);
      best_.push_back(std::move(found));
    }
    std::stable_sort(best_.begin(), best_.end(),
                     [](const auto& a, const auto& b) { return by_score(b, a); });
    best_.resize(beams);
  }

  std::vector<int64_t> go_on(const std::vector<Candidate>& candidates, bool last,
                             const std::vector<int64_t>& eos) {
    std::vector<Hypothesis> next;
    std::vector<int64_t> parents;
    for (const auto& [beam, id, score] : candidates) {
      if (next.size() == running_.size()) break;
      if (contains(eos, id) && !last) continue;
      next.push_back({running_[beam].ids, score});
      next.back().ids.push_back(id);
      parents.push_back(beam);
    }
    running_ = std::move(next);
    return parents;
  }

  std::vector<Hypothesis> running_;  // by falling score
  std::vector<Hypothesis> best_;     // by falling score
  bool improvable_ = true;
};

// The best continuations of each item: [items][count], by falling score.
std::vector<std::vector<Candidate>> best_candidates(const Tensor& logits,
                                                    const std::vector<BeamItem>& items,
                                                    const std::vector<int64_t>& open, int64_t beams,
                                                    int64_t count) {
  const auto classes = logits.size(1);
  std::vector<float> scores;
  for (const int64_t item : open) {
    for (int64_t beam = 0; beam < beams; beam++) scores.push_back(items[item].score(beam));
  }
  const auto sums =
      logits.log_softmax(-1).add_(at::tensor(scores).to(logits.device()).unsqueeze(1));
  const auto [values, places] = sums.view({int64_t(open.size()), -1}).topk(count);
  const auto value = values.cpu(), place = places.cpu();
  const auto value_at = value.accessor<float, 2>();
  const auto place_at = place.accessor<int64_t, 2>();
  std::vector<std::vector<Candidate>> candidates(open.size());
  for (size_t i = 0; i < open.size(); i++) {
    for (int64_t k = 0; k < count; k++) {
      const auto index = place_at[i][k];
      candidates[i].push_back({index / classes, int32_t(index % classes), value_at[i][k]});
    }
  }
  return candidates;
}

std::vector<Ids> beam_search(const Model& model, Decoder& decoder, int64_t count,
                             const GenerateOptions& options, const StopFlag& stop) {
  const auto beams = options.beams;
  const auto kept = std::max<int64_t>(2, 1 + int64_t(options.eos_token_ids.size())) * beams;
  std::vector<BeamItem> items(count, BeamItem(beams));
  std::vector<int64_t> open(count);  // the item of each group of rows
  std::iota(open.begin(), open.end(), 0);
  auto next = decoder.first_ids();

  for (int64_t length = 1; length <= options.max_new_tokens && !open.empty(); length++) {
    stop.check();
    const auto logits = decoder.step(as_tensor(next, model.device()));
    const auto candidates = best_candidates(logits, items, open, beams, kept);
    std::vector<int64_t> rows, still, still_open;
    next.clear();
    for (size_t group = 0; group < open.size(); group++) {
      auto& item = items[open[group]];
      const auto parents = item.advance(candidates[group], length, length == options.max_new_tokens,
                                        options.eos_token_ids);
      for (const auto parent : parents) rows.push_back(int64_t(group) * beams + parent);
      if (!item.improvable()) continue;
      still.push_back(int64_t(group));
      still_open.push_back(open[group]);
      for (int64_t beam = 0; beam < beams; beam++) next.push_back(item.last(beam));
    }
    if (still.empty()) break;
    decoder.reorder(rows);
    if (still.size() < open.size()) decoder.keep(still);
    open = std::move(still_open);
  }

  std::vector<Ids> outputs;
  for (const auto& item : items) outputs.push_back(item.result());
  return outputs;
}

std::vector<Ids> search(const Model& model, const ModelInputs& inputs,
                        const GenerateOptions& options, const StopFlag& stop) {
  const c10::InferenceMode inference;
  stop.check();
  const auto decoder = model.decoder(inputs, options.beams, options.max_new_tokens);
  const auto method = options.beams == 1 ? greedy : beam_search;
  return method(model, *decoder, inputs.input_ids.size(0), options, stop);
}

}  // namespace

std::vector<Ids> generate(const Model& model, const ModelInputs& inputs,
                          const GenerateOptions& options, const StopFlag& stop) {
  const auto parts = part_count(model, inputs.input_ids.size(0));
  std::vector<std::vector<Ids>> found(parts);
  const auto search_part = [&](int64_t i) {
    const ModelInputs part{
        part_of(inputs.input_ids, i, parts), part_of(inputs.attention_mask, i, parts), {}};
    found[i] = search(model, part, options, stop);
  };
  // A step reads one id of each row: so little work that a second thread would hold up a small
  // model.
  each_at_once(parts, search_part, is_small(model) ? std::optional(1) : std::nullopt);
  std::vector<Ids> outputs;
  for (auto& ids : found) std::move(ids.begin(), ids.end(), std::back_inserter(outputs));
  return outputs;
}

}  // namespace dece
