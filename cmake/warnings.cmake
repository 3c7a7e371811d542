# Warnings for our own targets only; dependencies are SYSTEM includes.
add_library(tocsin_warnings INTERFACE)
target_compile_options(
  tocsin_warnings
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wshadow
            -Wconversion
            -Wsign-conversion
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wswitch-enum
            -Wvla
            -Wdate-time
            -Wno-missing-field-initializers # Option structs with defaults are initialized in part on purpose.
            -Werror)
