/* Instance normalisation with the (leaky) ReLU behind it, on float32 images whose channels come last, and its gradient:
   two passes each, one for sums over pixels and one for the result. Pixels are taken in pieces that have sums of their
   own, so that these do not depend on how many threads there are. */

#include <stdint.h>

/* A normalisation: its sums, or its result, where there is an `out`; of the gradient, where there is one. `mean`,
   `inverse`, `first` and `second` have one number for each channel of each image; `next` is a piece that nobody has taken yet. */
struct normalisation {
    const float *in, *gradient, *mean, *inverse, *first, *second;
    float *sums, *out;
    int64_t images, pixels, channels, pixels_at_once, next;
    float slope;
    int32_t lanes;
};

#define TEMPLATE "normalise.h"
#include "registers.h"

/* Normalise until no piece is left; any number of threads may call this for the same job. */
void normalise(struct normalisation *job)
{
#if defined(HAS_4)
    if (job->lanes == 4) normalise_4(job);
#endif
#if defined(HAS_8)
    if (job->lanes == 8) normalise_8(job);
#endif
#if defined(HAS_16)
    if (job->lanes == 16) normalise_16(job);
#endif
    (void)job;
}
