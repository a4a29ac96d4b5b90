/*
 * A libnvidia-ml.so without a GPU. Its GPUs are lines of the text file STATE_FILE (given when it is compiled), read
 * anew at each call, so a test changes them while a trainer runs:
 *
 *   clock <ns or 0>
 *   gpu <watts> <base_mj> <base_ns> <utilization %> <used bytes> <total bytes> <celsius> <flags> <clock MHz> <throttle bits> <uuid> <name...>
 *
 * Energy is base_mj + watts * (now - base_ns), so the analytic value is known exactly. `clock` 0 means the host's
 * monotonic clock. Flags: 1 no energy counter, 2 no power, 4 no utilisation, 8 the GPU is lost, 16 its power limit may not
 * be set, 32 it tells no clocks, 64 no limit. A power limit that is set stands in STATE_FILE.limit.<index>, in milliwatts; it
 * is 300 W before, between 100 and 400 W.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OK 0
#define INVALID_ARGUMENT 2
#define NOT_SUPPORTED 3
#define NOT_FOUND 6
#define INSUFFICIENT_SIZE 7
#define GPU_IS_LOST 15
#define UNKNOWN 999

#define NO_COUNTER 1
#define NO_POWER 2
#define NO_UTILIZATION 4
#define LOST 8
#define NO_RIGHT 16
#define NO_CLOCKS 32
#define NO_LIMIT 64
#define NO_PERMISSION 4
#define DEFAULT_LIMIT 300000
#define LEAST_LIMIT 100000
#define MOST_LIMIT 400000

#define MAX_GPUS 64

typedef struct {
  double watts, base_mj;
  long long base_ns, used, total;
  int utilization, celsius, flags;
  unsigned int clock_mhz;
  unsigned long long throttling;
  char uuid[96], name[96];
} gpu_state;

typedef struct { int index; } device;
typedef struct { unsigned int gpu, memory; } utilization_rates;
typedef struct { unsigned long long total, free, used; } memory_info;
typedef struct {
  unsigned int fieldId, scopeId;
  long long timestamp, latencyUsec;
  int valueType, nvmlReturn;
  union { double d; unsigned int ui; unsigned long long ull; } value;
} field_value;

static device devices[MAX_GPUS];

static long long read_state(gpu_state *gpus, int *count) {
  FILE *file = fopen(STATE_FILE, "r");
  char line[512];
  long long clock_ns = 0;
  *count = 0;
  if (!file) return 0;
  while (fgets(line, sizeof line, file)) {
    gpu_state g;
    if (sscanf(line, "clock %lld", &clock_ns) == 1) continue;
    if (*count < MAX_GPUS &&
        sscanf(line, "gpu %lf %lf %lld %d %lld %lld %d %d %u %llu %95s %95[^\n]", &g.watts, &g.base_mj, &g.base_ns,
               &g.utilization, &g.used, &g.total, &g.celsius, &g.flags, &g.clock_mhz, &g.throttling, g.uuid,
               g.name) == 12)
      gpus[(*count)++] = g;
  }
  fclose(file);
  if (clock_ns == 0) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    clock_ns = (long long)now.tv_sec * 1000000000LL + now.tv_nsec;
  }
  return clock_ns;
}

static int look(device *d, gpu_state *g, long long *now_ns) {
  gpu_state gpus[MAX_GPUS];
  int count;
  *now_ns = read_state(gpus, &count);
  if (!d || d->index < 0 || d->index >= count) return INVALID_ARGUMENT;
  *g = gpus[d->index];
  return g->flags & LOST ? GPU_IS_LOST : OK;
}

static unsigned long long energy_mj(const gpu_state *g, long long now_ns) {
  return (unsigned long long)(g->base_mj + g->watts * (double)(now_ns - g->base_ns) / 1e6);
}

static int copy(const char *text, char *out, unsigned int length) {
  if (strlen(text) + 1 > length) return INSUFFICIENT_SIZE;
  strcpy(out, text);
  return OK;
}

int nvmlInit_v2(void) { return OK; }
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
  switch (code) {
    case OK: return "Success";
    case NOT_SUPPORTED: return "Not Supported";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
  }
}
int nvmlSystemGetDriverVersion(char *out, unsigned int length) { return copy("999.0-fake", out, length); }
int nvmlSystemGetNVMLVersion(char *out, unsigned int length) { return copy("12.999.0", out, length); }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { *out = 12040; return OK; }

int nvmlDeviceGetCount_v2(unsigned int *out) {
  gpu_state gpus[MAX_GPUS];
  int count;
  read_state(gpus, &count);
  *out = (unsigned int)count;
  return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, device **out) {
  unsigned int count;
  nvmlDeviceGetCount_v2(&count);
  if (index >= count) return INVALID_ARGUMENT;
  devices[index].index = (int)index;
  *out = &devices[index];
  return OK;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, device **out) {
  gpu_state gpus[MAX_GPUS];
  int count;
  read_state(gpus, &count);
  for (int i = 0; i < count; i++)
    if (strcmp(gpus[i].uuid, uuid) == 0) return nvmlDeviceGetHandleByIndex_v2((unsigned int)i, out);
  return NOT_FOUND;
}

#define LOOK                                \
  gpu_state g;                              \
  long long now_ns;                         \
  int code = look(d, &g, &now_ns);          \
  if (code != OK) return code;

int nvmlDeviceGetName(device *d, char *out, unsigned int length) { LOOK return copy(g.name, out, length); }
int nvmlDeviceGetUUID(device *d, char *out, unsigned int length) { LOOK return copy(g.uuid, out, length); }
int nvmlDeviceGetPowerUsage(device *d, unsigned int *out) {
  LOOK
  if (g.flags & NO_POWER) return NOT_SUPPORTED;
  *out = (unsigned int)(g.watts * 1000.0 + 0.5);
  return OK;
}
int nvmlDeviceGetTotalEnergyConsumption(device *d, unsigned long long *out) {
  LOOK
  if (g.flags & NO_COUNTER) return NOT_SUPPORTED;
  *out = energy_mj(&g, now_ns);
  return OK;
}
int nvmlDeviceGetUtilizationRates(device *d, utilization_rates *out) {
  LOOK
  if (g.flags & NO_UTILIZATION) return NOT_SUPPORTED;
  out->gpu = (unsigned int)g.utilization;
  out->memory = (unsigned int)g.utilization / 2;
  return OK;
}
int nvmlDeviceGetMemoryInfo(device *d, memory_info *out) {
  LOOK
  out->total = (unsigned long long)g.total;
  out->used = (unsigned long long)g.used;
  out->free = out->total - out->used;
  return OK;
}
int nvmlDeviceGetTemperature(device *d, int sensor, unsigned int *out) {
  LOOK
  if (sensor != 0) return INVALID_ARGUMENT;
  *out = (unsigned int)g.celsius;
  return OK;
}
int nvmlDeviceGetClockInfo(device *d, int type, unsigned int *out) {
  LOOK
  if (g.flags & NO_CLOCKS) return NOT_SUPPORTED;
  *out = type == 2 ? 5000 : g.clock_mhz;
  return OK;
}
/* The name of before driver 535; the newer one is left out, as in older libraries. */
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, unsigned long long *out) {
  LOOK
  if (g.flags & NO_CLOCKS) return NOT_SUPPORTED;
  *out = g.throttling;
  return OK;
}

static void limit_file(const device *d, char *path, size_t length) {
  snprintf(path, length, "%s.limit.%d", STATE_FILE, d->index);
}
int nvmlDeviceGetEnforcedPowerLimit(device *d, unsigned int *out) {
  char path[4096];
  FILE *file;
  LOOK
  if (g.flags & NO_LIMIT) return NOT_SUPPORTED;
  *out = DEFAULT_LIMIT;
  limit_file(d, path, sizeof path);
  file = fopen(path, "r");
  if (!file) return OK;
  if (fscanf(file, "%u", out) != 1) *out = DEFAULT_LIMIT;
  fclose(file);
  return OK;
}
int nvmlDeviceGetPowerManagementLimit(device *d, unsigned int *out) { return nvmlDeviceGetEnforcedPowerLimit(d, out); }
int nvmlDeviceGetPowerManagementLimitConstraints(device *d, unsigned int *least, unsigned int *most) {
  LOOK
  if (g.flags & NO_LIMIT) return NOT_SUPPORTED;
  *least = LEAST_LIMIT;
  *most = MOST_LIMIT;
  return OK;
}
int nvmlDeviceSetPowerManagementLimit(device *d, unsigned int milliwatts) {
  char path[4096];
  FILE *file;
  LOOK
  if (g.flags & NO_LIMIT) return NOT_SUPPORTED;
  if (g.flags & NO_RIGHT) return NO_PERMISSION;
  if (milliwatts < LEAST_LIMIT || milliwatts > MOST_LIMIT) return INVALID_ARGUMENT;
  limit_file(d, path, sizeof path);
  file = fopen(path, "w");
  if (!file) return UNKNOWN;
  fprintf(file, "%u", milliwatts);
  fclose(file);
  return OK;
}
int nvmlDeviceGetFieldValues(device *d, int count, field_value *values) {
  LOOK
  for (int i = 0; i < count; i++) {
    field_value *v = &values[i];
    v->timestamp = now_ns / 1000;
    v->latencyUsec = 0;
    v->nvmlReturn = NOT_SUPPORTED;
    if (v->fieldId == 186 && !(g.flags & NO_POWER)) {
      v->valueType = 1;
      v->value.ui = (unsigned int)(g.watts * 1000.0 + 0.5);
      v->nvmlReturn = OK;
    } else if (v->fieldId == 83 && !(g.flags & NO_COUNTER)) {
      v->valueType = 3;
      v->value.ull = energy_mj(&g, now_ns);
      v->nvmlReturn = OK;
    }
  }
  return OK;
}
