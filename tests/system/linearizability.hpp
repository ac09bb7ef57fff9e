#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// Whether a history of concurrent operations on one object could have been one after the other:
// the algorithm of Wing and Gong, with Lowe's memory of what was tried. A small stand-in for
// porcupine, which reads the same histories (tests/system/porcupine).
namespace contactd::test {

inline constexpr std::int64_t never_returned = std::numeric_limits<std::int64_t>::max();

// An operation that never returned, or whose outcome is unknown, may take effect at any time after
// its call, or not at all.
template <class Operation>
struct Recorded {
  std::int64_t called_ns = 0;
  std::int64_t returned_ns = never_returned;
  Operation operation;
};

// A model says what an operation makes of a state:
//   State, Operation; static State initial();
//   static std::optional<State> step(const State&, const Operation&): nothing, if the operation
//     can't have had its output in that state
//   static std::string key(const State&): the same for equal states
template <class Model>
class LinearizabilityCheck {
 public:
  using Operation = typename Model::Operation;
  using State = typename Model::State;

  explicit LinearizabilityCheck(std::vector<Recorded<Operation>> history,
                                State initial = Model::initial())
      : history_(std::move(history)), done_(history_.size(), '0'), initial_(std::move(initial)) {}

  bool holds() { return search(initial_, open_operations()); }

 private:
  // Operations that must have taken effect; the others may be left out.
  std::size_t open_operations() const {
    std::size_t open = 0;
    for (const auto& one : history_) open += one.returned_ns != never_returned ? 1U : 0U;
    return open;
  }

  // One level of the search: which operations could be next, and which one is tried.
  struct Level {
    State state;
    std::vector<std::size_t> candidates;
    std::size_t tried = 0;
  };

  // Those that were called before any that is left returned.
  std::vector<std::size_t> candidates() const {
    std::int64_t first_return = never_returned;
    for (std::size_t i = first_left_; i < history_.size(); ++i) {
      if (done_[i] == '1') continue;
      if (history_[i].called_ns > first_return) break;  // they are in the order of their calls
      first_return = std::min(first_return, history_[i].returned_ns);
    }
    std::vector<std::size_t> found;
    for (std::size_t i = first_left_; i < history_.size(); ++i) {
      if (history_[i].called_ns > first_return) break;
      if (done_[i] == '0') found.push_back(i);
    }
    // Those that may have had no effect come last.
    std::stable_sort(found.begin(), found.end(), [this](std::size_t a, std::size_t b) {
      return history_[a].returned_ns < history_[b].returned_ns;
    });
    return found;
  }

  // What to try in a state. An operation that fits and changes nothing, such as a read, may as well
  // be next: no other one is worth a try then.
  std::vector<std::size_t> choices(const State& state) const {
    std::vector<std::size_t> found = candidates();
    const std::string key = Model::key(state);
    for (const std::size_t which : found) {
      if (history_[which].returned_ns == never_returned) break;
      const auto next = Model::step(state, history_[which].operation);
      if (next && Model::key(*next) == key) return {which};
    }
    return found;
  }

  // A number of its own for each operation; of a set of them, all combined by exclusive or.
  static std::uint64_t signature(std::size_t which) {
    std::uint64_t bits = (which + 1) * 0x9E3779B97F4A7C15U;
    bits = (bits ^ (bits >> 30U)) * 0xBF58476D1CE4E5B9U;
    bits = (bits ^ (bits >> 27U)) * 0x94D049BB133111EBU;
    return bits ^ (bits >> 31U);
  }

  // What was placed and the state that it came to, in 128 bits: a history has many thousands.
  std::pair<std::uint64_t, std::uint64_t> place(const std::string& state) const {
    const std::hash<std::string> hash;
    return {done_set_.first ^ hash(state), done_set_.second ^ hash(state + '+')};
  }

  void mark(std::size_t which, char value) {
    done_[which] = value;
    done_set_.first ^= signature(which);
    done_set_.second ^= signature(which + history_.size());
    if (value == '0') first_left_ = std::min(first_left_, which);
    while (first_left_ < done_.size() && done_[first_left_] == '1') ++first_left_;
  }

  bool search(State state, std::size_t open) {
    std::vector<Level> levels;
    std::vector<std::size_t> path;
    std::vector<std::size_t> first = choices(state);
    levels.push_back({std::move(state), std::move(first)});
    while (open > 0) {
      Level& level = levels.back();
      if (level.tried == level.candidates.size()) {
        levels.pop_back();
        if (levels.empty()) return false;
        mark(path.back(), '0');
        open += history_[path.back()].returned_ns != never_returned ? 1U : 0U;
        path.pop_back();
        continue;
      }
      const std::size_t which = level.candidates[level.tried++];
      auto next = Model::step(level.state, history_[which].operation);
      if (!next) continue;
      mark(which, '1');
      if (!seen_.insert(place(Model::key(*next))).second) {
        mark(which, '0');
        continue;
      }
      open -= history_[which].returned_ns != never_returned ? 1U : 0U;
      path.push_back(which);
      std::vector<std::size_t> then = choices(*next);
      levels.push_back({*std::move(next), std::move(then)});
    }
    return true;
  }

  const std::vector<Recorded<Operation>> history_;  // in the order of the calls
  std::string done_;                                // of each operation, whether it is placed
  std::size_t first_left_ = 0;
  std::pair<std::uint64_t, std::uint64_t> done_set_{0, 0};  // the same, as a signature
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen_;
  const State initial_;
};

// A contact: which version, with which title; or none.
struct ContactModel {
  struct State {
    bool exists = true;
    std::uint64_t version = 1;
    std::string title;
  };
  enum class Kind { get, set_title, remove };
  enum class Output { done, not_found, precondition_failed, unknown };
  struct Operation {
    Kind kind = Kind::get;
    std::string title;           // that is set
    std::uint64_t if_match = 0;  // 0: unconditional
    Output output = Output::unknown;
    std::uint64_t version = 0;  // that was answered
    std::string answered;       // the title that was answered
  };

  static State initial() { return {}; }
  static std::string key(const State& state) {
    return state.exists ? std::to_string(state.version) + ' ' + state.title : "gone";
  }
  static std::optional<State> step(const State& before, const Operation& operation);
};

// An email address: whose it is.
struct EmailModel {
  struct State {
    std::string holder;  // empty: nobody's
  };
  enum class Output { taken, conflict, unknown };
  struct Operation {
    std::string contact;  // that wants it
    Output output = Output::unknown;
    std::string holder;  // that a conflict named
  };

  static State initial() { return {}; }
  static std::string key(const State& state) { return state.holder; }
  static std::optional<State> step(const State& before, const Operation& operation);
};

}  // namespace contactd::test
