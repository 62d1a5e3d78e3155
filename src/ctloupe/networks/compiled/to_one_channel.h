/* Included by `registers.h` once for each size of registers. */

typedef float NAME(register) __attribute__((vector_size(4 * LANES)));
typedef float NAME(stored) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* So many pixels of the result that lie side by side. */
INLINE void NAME(give_pixels)(const struct to_one_channel *job, const float *in, float *out, const int count)
{
    vec sum[PIXELS];
    const float *kernel = job->kernel;
    for (int n = 0; n < count; n++) sum[n] = (vec){0};
    for (int64_t y = 0; y < job->taps; y++, in += job->in_row)
        for (int64_t at = 0; at < job->run; at += LANES, kernel += LANES) {
            vec weight = LOAD(kernel);
            for (int n = 0; n < count; n++) sum[n] += weight * LOAD(in + n * job->channels + at);
        }
    for (int n = 0; n < count; n++) {
        float lanes[LANES];
        STORE(lanes, sum[n]);
        for (int half = LANES / 2; half; half /= 2)
            for (int lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
        out[n] = job->bias + lanes[0];
    }
}

static void NAME(convolve)(struct to_one_channel *job)
{
    int64_t across = (job->width + WIDE - 1) / WIDE, down = (job->height + HIGH - 1) / HIGH;
    for (;;) {
        int64_t part = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (part >= across * down) return;
        int64_t top = part / across * HIGH, left = part % across * WIDE;
        int64_t bottom = top + HIGH < job->height ? top + HIGH : job->height;
        int64_t right = left + WIDE < job->width ? left + WIDE : job->width;
        for (int64_t y = top; y < bottom; y++) {
            const float *in = job->in + y * job->in_row;
            float *out = job->out + y * job->out_row;
            int64_t x = left;
            for (; x + PIXELS <= right; x += PIXELS) NAME(give_pixels)(job, in + x * job->channels, out + x, PIXELS);
            for (; x < right; x++) NAME(give_pixels)(job, in + x * job->channels, out + x, 1);
        }
    }
}
