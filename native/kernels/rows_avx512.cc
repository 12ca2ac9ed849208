#define DECE_ROWS rows_avx512
#include "cpu_rows.inc"
