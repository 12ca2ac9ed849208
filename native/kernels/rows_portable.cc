#define DECE_ROWS rows_portable
#include "cpu_rows.inc"
