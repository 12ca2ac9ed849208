// A file read through the memory of the process, and one that is written whole or not at all.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace dece {

// "`what` `path`: " and what errno says.
std::runtime_error system_error(const std::string& what, const std::string& path);

// A whole file, mapped for as long as the object lives.
//
// What becomes of the mapping where another process writes into the file is for that process to
// say: a read may see the new bytes, and one beyond a new end is a bus error, which ends this
// process after a sentence that names the file. A file that is replaced under its name stays as it
// was.
class MappedFile {
 public:
  // Read-only, or `writable`: pages that are written to become this process's own, the file stays.
  explicit MappedFile(const std::string& path, bool writable = false);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  const char* data() const { return data_; }
  uint64_t size() const { return size_; }
  bool writable() const { return writable_; }

  // Gives the pages around a range back: what was read of them no longer counts as memory of this
  // process. Reading them again is allowed, and fetches them again; what was written is lost.
  void forget(const char* data, uint64_t size) const;

 private:
  std::string path_;
  bool writable_;
  const char* data_ = nullptr;
  uint64_t size_ = 0;
};

// A file that lies beside its place until it is committed, and is deleted where it never is.
class NewFile {
 public:
  // `path` is what error messages name: the file that was asked for.
  explicit NewFile(const std::string& path);
  NewFile(NewFile&& other) noexcept;
  ~NewFile();

  void write(const void* data, uint64_t size);
  // Flushes what was written to the disk.
  void close();
  // Puts the closed file in its place, for whatever was there.
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  int descriptor_;
};

}  // namespace dece
