#define DECE_ROWS rows_avx2
#include "cpu_rows.inc"
