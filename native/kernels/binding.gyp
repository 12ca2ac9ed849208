# kernels.node: the losses on the CPU, without torch. node-gyp builds it.
#
# Each rows_*.cc is the same code compiled for one instruction set; the choice is made at run time.
# sources.cmake says the same to the build of the trainer.
{
  "target_defaults": {
    "cflags": ["-fPIC", "-fvisibility=hidden", "-Wextra"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fno-rtti"],
    "cflags_cc": ["-std=c++20", "-O3", "-ffp-contract=fast"],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "GCC_OPTIMIZATION_LEVEL": "3",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CFLAGS": ["-ffp-contract=fast"],
    },
  },
  "targets": [
    {
      "target_name": "kernels",
      "sources": ["binding.cc", "dece_loss.cc", "plan.cc", "team.cc", "rows_portable.cc"],
      # Only a path: node-addon-api's own targets would put makefiles into native/node_modules.
      "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
      # The last: a thread that was terminated takes no result, and that is no reason to abort.
      "defines": [
        "NAPI_VERSION=8", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      ],
      "cflags!": ["-fno-exceptions"],
      "cflags_cc!": ["-fno-exceptions"],
      "xcode_settings": { "GCC_ENABLE_CPP_EXCEPTIONS": "YES" },
      "msvs_settings": { "VCCLCompilerTool": { "ExceptionHandling": 1 } },
      "conditions": [
        ["target_arch == 'x64'", { "dependencies": ["rows_avx2", "rows_avx512"] }],
      ],
    },
  ],
  "conditions": [
    ["target_arch == 'x64'", {
      "targets": [
        {
          "target_name": "rows_avx2",
          "type": "static_library",
          "sources": ["rows_avx2.cc"],
          "cflags_cc": ["-mavx2", "-mfma", "-mf16c"],
          "xcode_settings": { "OTHER_CFLAGS": ["-mavx2", "-mfma", "-mf16c"] },
        },
        {
          "target_name": "rows_avx512",
          "type": "static_library",
          "sources": ["rows_avx512.cc"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
          "xcode_settings": {
            "OTHER_CFLAGS": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"],
          },
        },
      ],
    }],
  ],
}
