/* A convolution to a single channel, as the last one of a network, of float32 images whose channels come last.

   With one output there is nothing to fill a register with but the inputs: the pixels that a row of the kernel meets lie
   side by side with all their channels, so that each row is a product of two runs of numbers. */

#include <stdint.h>

/* Steps are counted in floats. `run` are the floats of a row of the kernel, filled with zeros up to whole registers; as
   far may be read behind the last pixel. `next` is a part of the result that nobody has taken yet. */
struct to_one_channel {
    const float *in, *kernel;
    float *out;
    int64_t height, width, in_row, out_row, channels, taps, run, next;
    float bias;
    int32_t lanes;
};

/* Parts of the result that see no more than the first-level cache holds, and pixels whose sums the registers hold. */
enum { HIGH = 16, WIDE = 128, PIXELS = 8 };

#define TEMPLATE "to_one_channel.h"
#include "registers.h"

/* Work on a job until none of it is left; any number of threads may call this for the same one. */
void to_one_channel(struct to_one_channel *job)
{
#if defined(HAS_4)
    if (job->lanes == 4) convolve_4(job);
#endif
#if defined(HAS_8)
    if (job->lanes == 8) convolve_8(job);
#endif
#if defined(HAS_16)
    if (job->lanes == 16) convolve_16(job);
#endif
    (void)job;
}
