/* Included by `registers.h` once for each size of registers. */

#define COLUMNS (2 * LANES)
/* As many tiles as there are registers for their sums: sixteen of 8 floats, thirty-two of the others. */
#define ROWS (LANES == 8 ? 6 : 12)

typedef float NAME(register) __attribute__((vector_size(4 * LANES)));
typedef int NAME(mask) __attribute__((vector_size(4 * LANES)));
typedef float NAME(stored) __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* The columns of Bᵀd, of the points 0, 1, −1, 2, −2 and infinity. */
INLINE void NAME(of_input)(const vec d[SIDE], vec o[SIDE])
{
    vec a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1];
    vec c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
    o[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    o[1] = a + b;
    o[2] = a - b;
    o[3] = c + e;
    o[4] = c - e;
    o[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

/* The columns of Aᵀm, for an output of `outputs` places, of which the last takes the point at infinity. */
INLINE void NAME(of_product)(const vec m[SIDE], vec o[SIDE], const int outputs)
{
    vec a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
    o[0] = m[0] + a + c;
    o[1] = b + 2.0f * d;
    o[2] = a + 4.0f * c;
    if (outputs > 3) o[3] = b + 8.0f * d;
    if (outputs > 4) o[4] = a + 16.0f * c;
    o[outputs - 1] += m[5];
}

/* The columns of Ay: the transpose of the above. */
INLINE void NAME(of_gradient)(const vec y[SIDE], vec o[SIDE], const int outputs)
{
    vec even = y[0] + y[2], odd = y[1], even2 = y[0] + 4.0f * y[2], odd2 = 2.0f * y[1];
    if (outputs > 3) { odd += y[3]; odd2 += 8.0f * y[3]; }
    if (outputs > 4) { even += y[4]; even2 += 16.0f * y[4]; }
    o[0] = y[0];
    o[1] = even + odd;
    o[2] = even - odd;
    o[3] = even2 + odd2;
    o[4] = even2 - odd2;
    o[5] = y[outputs - 1];
}

/* One tile of the input, seen from its corner at (y, x) of the output; so many floats lie between two places of it, and
   between two lines of channels. */
static void NAME(take_input)(const struct convolution *job, struct place at, float *into, int64_t place_step,
                             int64_t line_step)
{
    const float *image = job->in + at.image * job->in_image;
    int64_t stride = job->stride, phases = stride * stride, channels = job->inputs / phases;
    int64_t lane = 0;
    for (int64_t phase = 0; phase < phases; phase++) {
        int64_t down = stride > 1 ? PHASES[phase][0] : 0, across = stride > 1 ? PHASES[phase][1] : 0;
        const float *seen[SIDE][SIDE];
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                int64_t row = job->row_of[stride * (at.y + i) + down];
                int64_t column = job->column_of[stride * (at.x + j) + across];
                seen[i][j] = row < 0 || column < 0 ? job->zeros : image + row * job->in_row + column * job->in_column;
            }
        for (int64_t c = 0; c < channels; c += LANES, lane += LANES) {
            float *place = into + lane / A_LINE * line_step + lane % A_LINE;
            vec half[SIDE][SIDE];
            for (int j = 0; j < SIDE; j++) {
                vec d[SIDE], o[SIDE];
                for (int i = 0; i < SIDE; i++) d[i] = LOAD(seen[i][j] + c);
                NAME(of_input)(d, o);
                for (int i = 0; i < SIDE; i++) half[i][j] = o[i];
            }
            for (int i = 0; i < SIDE; i++) {
                vec o[SIDE];
                NAME(of_input)(half[i], o);
                for (int j = 0; j < SIDE; j++) STORE(place + (SIDE * i + j) * place_step, o[j]);
            }
        }
    }
}

/* ROWS tiles times COLUMNS outputs at one place, summed over the inputs. */
static void NAME(multiply)(const float *tiles, int64_t tile_step, const float *kernel, float *product, int64_t inputs)
{
    vec sum[ROWS][2];
    for (int r = 0; r < ROWS; r++) sum[r][0] = sum[r][1] = (vec){0};
    for (int64_t first = 0; first < inputs; first += A_LINE, tiles += PLACES * A_LINE) {
        int64_t count = inputs - first < A_LINE ? inputs - first : A_LINE;
        for (int64_t c = 0; c < count; c++, kernel += COLUMNS) {
            vec a = LOAD(kernel), b = LOAD(kernel + LANES);
            for (int r = 0; r < ROWS; r++) {
                float factor = tiles[r * tile_step + c];
                sum[r][0] += factor * a;
                sum[r][1] += factor * b;
            }
        }
    }
    for (int r = 0; r < ROWS; r++, product += PLACES * COLUMNS) {
        STORE(product, sum[r][0]);
        STORE(product + LANES, sum[r][1]);
    }
}

/* One register of outputs of one tile, of which `rows` and `columns` lie within the image. */
INLINE void NAME(give_output)(const struct convolution *job, const float *product, float *out, const float *skip,
                              vec bias, int64_t rows, int64_t columns, const int outputs)
{
    vec half[SIDE][SIDE];
    for (int j = 0; j < SIDE; j++) {
        vec m[SIDE], o[SIDE];
        for (int i = 0; i < SIDE; i++) m[i] = LOAD(product + (SIDE * i + j) * COLUMNS);
        NAME(of_product)(m, o, outputs);
        for (int i = 0; i < outputs; i++) half[i][j] = o[i];
    }
    for (int i = 0; i < outputs && i < rows; i++) {
        vec o[SIDE];
        NAME(of_product)(half[i], o, outputs);
        for (int j = 0; j < outputs && j < columns; j++) {
            vec value = o[j] + bias;
            vec positive = (vec)((NAME(mask))value & (value > 0));
            value = positive + job->slope * (value - positive);
            if (skip) value += LOAD(skip + i * job->skip_row + j * job->skip_column);
            STORE(out + i * job->out_row + j * job->out_column, value);
        }
    }
}

INLINE void NAME(give_outputs)(const struct convolution *job, const float *products, int64_t block_step, struct place at,
                               int64_t from, int64_t until, const int outputs)
{
    int64_t rows = job->height - at.y, columns = job->width - at.x;
    float *out = job->out + at.image * job->out_image + at.y * job->out_row + at.x * job->out_column;
    const float *skip = job->skip;
    if (skip) skip += at.image * job->skip_image + at.y * job->skip_row + at.x * job->skip_column;
    for (int64_t c = from; c < until; c += LANES) {
        int64_t lane = job->place_of[c / LANES];
        const float *product = products + (c - from) / COLUMNS * block_step + (c - from) % COLUMNS;
        NAME(give_output)(job, product, out + lane, skip ? skip + lane : 0, LOAD(job->bias + c), rows, columns, outputs);
    }
}

static int NAME(convolve)(const struct convolution *job, int64_t *counter)
{
    int64_t inputs = job->inputs, outputs = job->outputs, side = job->side;
    int64_t together = job->tiles_at_once, group = job->outputs_at_once;
    int64_t tile_step = PLACES * whole_lines(inputs) + A_LINE, block_step = together * PLACES * COLUMNS;
    float *seen = room(together * tile_step, 1), *products = room(group / COLUMNS * block_step, 0);
    int failed = !seen || !products;
    while (!failed) {
        int64_t first = __atomic_fetch_add(counter, together, __ATOMIC_RELAXED);
        if (first >= job->tiles) break;
        int64_t count = job->tiles - first < together ? job->tiles - first : together;
        for (int64_t t = 0; t < count; t++) {
            struct place at = place_of_tile(job, first + t);
            NAME(take_input)(job, at, seen + t * tile_step, A_LINE, PLACES * A_LINE);
        }
        for (int64_t from = 0; from < outputs; from += group) {
            int64_t until = from + group < outputs ? from + group : outputs;
            for (int k = 0; k < PLACES; k++)
                for (int64_t c = from; c < until; c += COLUMNS)
                    for (int64_t t = 0; t < count; t += ROWS)
                        NAME(multiply)(seen + t * tile_step + k * A_LINE, tile_step,
                                       job->kernel + (c * PLACES + k * COLUMNS) * inputs,
                                       products + (c - from) / COLUMNS * block_step + (t * PLACES + k) * COLUMNS, inputs);
            for (int64_t t = 0; t < count; t++) {
                struct place at = place_of_tile(job, first + t);
                const float *of_tile = products + t * PLACES * COLUMNS;
                if (side == 4) NAME(give_outputs)(job, of_tile, block_step, at, from, until, 4);
                if (side == 3) NAME(give_outputs)(job, of_tile, block_step, at, from, until, 3);
                if (side == 5) NAME(give_outputs)(job, of_tile, block_step, at, from, until, 5);
            }
        }
    }
    free(seen);
    free(products);
    return failed;
}

/* One tile of the gradient of the output; what lies beyond the image is zero. COLUMNS channels lie side by side. */
INLINE void NAME(take_gradient)(const struct convolution *job, struct place at, float *into, int64_t place_step,
                                int64_t column_step, const int outputs)
{
    int64_t rows = job->height - at.y, columns = job->width - at.x;
    const float *given = job->out + at.image * job->out_image + at.y * job->out_row + at.x * job->out_column;
    for (int64_t c = 0; c < job->outputs; c += LANES) {
        float *place = into + c / COLUMNS * column_step + c % COLUMNS;
        vec half[SIDE][SIDE];
        for (int j = 0; j < outputs; j++) {
            vec y[SIDE], o[SIDE];
            for (int i = 0; i < outputs; i++)
                y[i] = i < rows && j < columns ? LOAD(given + i * job->out_row + j * job->out_column + c) : (vec){0};
            NAME(of_gradient)(y, o, outputs);
            for (int i = 0; i < SIDE; i++) half[i][j] = o[i];
        }
        for (int i = 0; i < SIDE; i++) {
            vec o[SIDE];
            NAME(of_gradient)(half[i], o, outputs);
            for (int j = 0; j < SIDE; j++) STORE(place + (SIDE * i + j) * place_step, o[j]);
        }
    }
}

/* Four inputs times COLUMNS outputs, summed over the tiles, added to what is there unless they are the first. */
static void NAME(add_products)(const float *tiles, const float *gradients, float *sums, int64_t outputs, int64_t count,
                               int first)
{
    vec sum[4][2];
    for (int r = 0; r < 4; r++) {
        sum[r][0] = first ? (vec){0} : LOAD(sums + r * outputs);
        sum[r][1] = first ? (vec){0} : LOAD(sums + r * outputs + LANES);
    }
    for (int64_t t = 0; t < count; t++) {
        vec a = LOAD(gradients + t * COLUMNS), b = LOAD(gradients + t * COLUMNS + LANES);
        for (int r = 0; r < 4; r++) {
            float factor = tiles[t * A_LINE + r];
            sum[r][0] += factor * a;
            sum[r][1] += factor * b;
        }
    }
    for (int r = 0; r < 4; r++) {
        STORE(sums + r * outputs, sum[r][0]);
        STORE(sums + r * outputs + LANES, sum[r][1]);
    }
}

static int NAME(add_gradient)(const struct convolution *job, int64_t *counter, float *sums)
{
    int64_t inputs = job->inputs, outputs = (job->outputs + COLUMNS - 1) / COLUMNS * COLUMNS;
    int64_t together = job->tiles_at_once, side = job->side;
    int64_t seen_step = together * whole_lines(inputs) + A_LINE, given_step = together * outputs + A_LINE;
    float *seen = room(PLACES * seen_step, 0), *given = room(PLACES * given_step, outputs > job->outputs);
    int failed = !seen || !given;
    for (int is_first = 1; !failed; is_first = 0) {
        int64_t first = __atomic_fetch_add(counter, together, __ATOMIC_RELAXED);
        if (first >= job->tiles) break;
        int64_t count = job->tiles - first < together ? job->tiles - first : together;
        for (int64_t t = 0; t < count; t++) {
            struct place at = place_of_tile(job, first + t);
            float *into = given + t * COLUMNS;
            NAME(take_input)(job, at, seen + t * A_LINE, seen_step, together * A_LINE);
            if (side == 4) NAME(take_gradient)(job, at, into, given_step, together * COLUMNS, 4);
            if (side == 3) NAME(take_gradient)(job, at, into, given_step, together * COLUMNS, 3);
            if (side == 5) NAME(take_gradient)(job, at, into, given_step, together * COLUMNS, 5);
        }
        for (int k = 0; k < PLACES; k++)
            for (int64_t i = 0; i < inputs; i += 4)
                for (int64_t c = 0; c < outputs; c += COLUMNS)
                    NAME(add_products)(seen + k * seen_step + i / A_LINE * together * A_LINE + i % A_LINE,
                                       given + k * given_step + c * together, sums + (k * inputs + i) * outputs + c,
                                       outputs, count, is_first);
    }
    free(seen);
    free(given);
    return failed;
}

#undef COLUMNS
#undef ROWS
