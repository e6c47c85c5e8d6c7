// Antialiased resizing of many parts of many pictures at once: Pillow's bilinear filter (libImaging/Resample.c) with its
// fixed-point weights and its rounding between the two passes, so that a GPU and a CPU give the same bytes; and Pillow's
// `reduce` (libImaging/Reduce.c), which turns pictures upright on the way.
//
// Structures are those of gpu_resize.py. Pixels are RGB, 3 bytes each.

typedef unsigned char Byte;
typedef long long Long;

#define PRECISION_BITS 22
#define PAD 114

// One direction of one job: `count` pixels out of [start, end) of `size`.
struct Axis {
    int *weights;  // count x taps
    int *bounds;   // count x (first pixel, pixels)
    float start, end;
    int size, count, taps, unused;
};

struct Resize {
    const Byte *source;
    Byte *target;
    Long source_stride, target_stride;
    const Axis *columns, *rows;
    int left, top;      // where the picture begins in the target; grey is around it
    int width, height;  // of the target
    int rows_first;     // which of the two passes is rounded before the other
    int unused;
};

struct Reduction {
    const Byte *source;
    Byte *target;
    Long source_stride, target_stride;
    int source_width, source_height;
    int factor;
    int swap, flip_columns, flip_rows;  // how the reduced picture becomes upright
    int width, height;                  // of the target
};

__device__ static double triangle(double x) {
    if (x < 0.0) x = -x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

// A thread makes the weights of one pixel in one direction. Blocks: x along the pixels, y over the axes.
extern "C" __global__ void filter_weights(const Axis *axes) {
    const Axis axis = axes[blockIdx.y];
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= axis.count) return;
    const double scale = (double)(axis.end - axis.start) / axis.count;
    const double support = scale < 1.0 ? 1.0 : scale;
    const double center = axis.start + (at + 0.5) * scale;
    const double narrowing = 1.0 / support;
    int first = (int)(center - support + 0.5);
    if (first < 0) first = 0;
    int last = (int)(center + support + 0.5);
    if (last > axis.size) last = axis.size;
    double sum = 0.0;
    for (int x = first; x < last; x++) sum += triangle((x - center + 0.5) * narrowing);
    int *weights = axis.weights + (Long)at * axis.taps;
    for (int x = first; x < last; x++) {
        double weight = triangle((x - center + 0.5) * narrowing);
        if (sum != 0.0) weight /= sum;
        weights[x - first] = (int)(0.5 + weight * (1 << PRECISION_BITS));
    }
    axis.bounds[2 * at] = first;
    axis.bounds[2 * at + 1] = last - first;
}

// Weights are not negative and add up to one, but for rounding.
__device__ static int rounded(int sum) {
    const int value = sum >> PRECISION_BITS;
    return value > 255 ? 255 : value;
}

// A thread makes one pixel. Blocks: x and y over the target, z over the jobs.
extern "C" __global__ void resize(const Resize *jobs) {
    const Resize job = jobs[blockIdx.z];
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= job.width || y >= job.height) return;
    Byte *pixel = job.target + y * job.target_stride + 3 * x;
    const Axis columns = *job.columns, rows = *job.rows;
    const int column = x - job.left, row = y - job.top;
    if (column < 0 || row < 0 || column >= columns.count || row >= rows.count) {
        pixel[0] = pixel[1] = pixel[2] = PAD;
        return;
    }
    const Axis &inner = job.rows_first ? rows : columns, &outer = job.rows_first ? columns : rows;
    const int inner_at = job.rows_first ? row : column, outer_at = job.rows_first ? column : row;
    const Long inner_step = job.rows_first ? job.source_stride : 3, outer_step = job.rows_first ? 3 : job.source_stride;
    const int inner_count = inner.bounds[2 * inner_at + 1], outer_count = outer.bounds[2 * outer_at + 1];
    const int *inner_weights = inner.weights + (Long)inner_at * inner.taps;
    const int *outer_weights = outer.weights + (Long)outer_at * outer.taps;
    const Byte *first = job.source + inner.bounds[2 * inner_at] * inner_step + outer.bounds[2 * outer_at] * outer_step;
    const int half = 1 << (PRECISION_BITS - 1);
    int red = half, green = half, blue = half;
    for (int v = 0; v < outer_count; v++) {
        const Byte *from = first + v * outer_step;
        int r = half, g = half, b = half;
        for (int u = 0; u < inner_count; u++, from += inner_step) {
            r += from[0] * inner_weights[u];
            g += from[1] * inner_weights[u];
            b += from[2] * inner_weights[u];
        }
        red += rounded(r) * outer_weights[v];
        green += rounded(g) * outer_weights[v];
        blue += rounded(b) * outer_weights[v];
    }
    pixel[0] = (Byte)rounded(red);
    pixel[1] = (Byte)rounded(green);
    pixel[2] = (Byte)rounded(blue);
}

// A thread makes one pixel: the mean of factor x factor, or of what is left of them at the far edges.
extern "C" __global__ void reduce_upright(const Reduction *jobs) {
    const Reduction job = jobs[blockIdx.z];
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= job.width || y >= job.height) return;
    int column = job.swap ? y : x, row = job.swap ? x : y;
    const int columns = job.swap ? job.height : job.width, rows = job.swap ? job.width : job.height;
    if (job.flip_columns) column = columns - 1 - column;
    if (job.flip_rows) row = rows - 1 - row;
    const int left = column * job.factor, top = row * job.factor;
    const int right = left + job.factor < job.source_width ? left + job.factor : job.source_width;
    const int bottom = top + job.factor < job.source_height ? top + job.factor : job.source_height;
    const unsigned count = (right - left) * (bottom - top);
    const unsigned multiplier = (unsigned)(4294967296.0f / (float)(256u * count));
    unsigned red = count / 2, green = count / 2, blue = count / 2;
    for (int v = top; v < bottom; v++) {
        const Byte *from = job.source + v * job.source_stride;
        for (int u = left; u < right; u++) {
            red += from[3 * u];
            green += from[3 * u + 1];
            blue += from[3 * u + 2];
        }
    }
    Byte *pixel = job.target + y * job.target_stride + 3 * x;
    pixel[0] = (Byte)(red * multiplier >> 24);
    pixel[1] = (Byte)(green * multiplier >> 24);
    pixel[2] = (Byte)(blue * multiplier >> 24);
}
