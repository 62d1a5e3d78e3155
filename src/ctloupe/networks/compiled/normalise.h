/* Included by `registers.h` once for each size of registers. */

typedef float NAME(register) __attribute__((vector_size(4 * LANES)));
typedef int NAME(mask) __attribute__((vector_size(4 * LANES)));
typedef float NAME(stored) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* The activation's value, or its slope times `value`, by the sign of `normal`. */
INLINE vec NAME(activated)(vec normal, vec value, float slope)
{
    vec positive = (vec)((NAME(mask))value & (normal > 0));
    return positive + slope * (value - positive);
}

INLINE vec NAME(normal)(const struct normalisation *job, const float *in, int64_t of_image)
{
    return (LOAD(in) - LOAD(job->mean + of_image)) * LOAD(job->inverse + of_image);
}

/* Sums over the pixels from `in` on, of `registers` registers of channels: of x and x² about `mean`; or of the gradient
   before the activation, and of its product with the normalised x. */
INLINE void NAME(add_up)(const struct normalisation *job, int64_t at, int64_t count, int64_t of_image, float *sums,
                         const int registers)
{
    vec one[4] = {{0}}, two[4] = {{0}};
    for (int64_t pixel = 0; pixel < count; pixel++, at += job->channels)
        for (int r = 0; r < registers; r++) {
            int64_t c = r * LANES;
            if (job->gradient) {
                vec normal = NAME(normal)(job, job->in + at + c, of_image + c);
                vec given = NAME(activated)(normal, LOAD(job->gradient + at + c), job->slope);
                one[r] += given;
                two[r] += given * normal;
            } else {
                vec off = LOAD(job->in + at + c) - LOAD(job->mean + of_image + c);
                one[r] += off;
                two[r] += off * off;
            }
        }
    for (int r = 0; r < registers; r++) {
        STORE(sums + r * LANES, one[r]);
        STORE(sums + job->channels + r * LANES, two[r]);
    }
}

INLINE void NAME(write)(const struct normalisation *job, int64_t at, int64_t count, int64_t of_image)
{
    for (int64_t pixel = 0; pixel < count; pixel++, at += job->channels)
        for (int64_t c = 0; c < job->channels; c += LANES) {
            vec normal = NAME(normal)(job, job->in + at + c, of_image + c), made;
            if (job->gradient) {
                made = NAME(activated)(normal, LOAD(job->gradient + at + c), job->slope);
                made -= LOAD(job->first + of_image + c) + normal * LOAD(job->second + of_image + c);
                made *= LOAD(job->inverse + of_image + c);
            } else
                made = NAME(activated)(normal, normal, job->slope);
            STORE(job->out + at + c, made);
        }
}

static void NAME(normalise)(struct normalisation *job)
{
    int64_t pieces = (job->pixels + job->pixels_at_once - 1) / job->pixels_at_once;
    for (;;) {
        int64_t piece = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (piece >= job->images * pieces) return;
        int64_t image = piece / pieces, first = piece % pieces * job->pixels_at_once;
        int64_t left = job->pixels - first, count = left < job->pixels_at_once ? left : job->pixels_at_once;
        int64_t at = (image * job->pixels + first) * job->channels, of_image = image * job->channels, c = 0;
        float *sums = job->sums + piece * 2 * job->channels;
        if (job->out) {
            NAME(write)(job, at, count, of_image);
            continue;
        }
        for (; c + 4 * LANES <= job->channels; c += 4 * LANES)
            NAME(add_up)(job, at + c, count, of_image + c, sums + c, 4);
        for (; c < job->channels; c += LANES) NAME(add_up)(job, at + c, count, of_image + c, sums + c, 1);
    }
}
