/* Thinning of a structure of cubes to lines (Lee, Kashyap and Chu, CVGIP 56, 1994): side by side, cubes that are bare on
   that side go, one after the other, unless what touches them would fall apart. Only cubes whose surroundings have
   changed are looked at again. */

#include <stdint.h>
#include <string.h>

/* A cube of the structure is 1, and 3 while it is known to stay as long as nothing around it goes. */
enum { IS_SET = 1, STAYS = 2, SIDES = 6 };

/* A structure with a rim of empty cubes; a mark for each row that may hold cubes that are 1; and room for as many indices
   as there are cubes. */
struct thinning {
    uint8_t *cubes, *rows;
    int64_t *candidates;
    int64_t planes, rows_of_plane, row;
};

/* The 27 cubes around one as bits, row by row, without itself. */
static uint32_t around(const uint8_t *cube, int64_t row, int64_t plane)
{
    uint32_t found = 0;
    int at = 0;
    for (int64_t z = -plane; z <= plane; z += plane)
        for (int64_t y = -row; y <= row; y += row, at += 3) {
            const uint8_t *one = cube + z + y;
            found |= (uint32_t)((one[-1] & IS_SET) | (one[0] & IS_SET) << 1 | (one[1] & IS_SET) << 2) << at;
        }
    return found & ~(1u << 13);
}

/* Eight times what a cube adds to the Euler characteristic of the structure in the octant behind one of its corners: of
   the corner, three edges, three faces and itself, of which 1, 2, 4 and 8 octants have a part, those that it alone has. */
static int added_in_octant(uint32_t set, int x, int y, int z)
{
    const int middle = 13;
    int by_x = set >> (middle + x) & 1, by_y = set >> (middle + y) & 1, by_z = set >> (middle + z) & 1;
    int by_xy = set >> (middle + x + y) & 1, by_xz = set >> (middle + x + z) & 1, by_yz = set >> (middle + y + z) & 1;
    int by_corner = set >> (middle + x + y + z) & 1;
    int faces = !by_x + !by_y + !by_z;
    int edges = !(by_x | by_y | by_xy) + !(by_x | by_z | by_xz) + !(by_y | by_z | by_yz);
    int corner = !(by_x | by_y | by_z | by_xy | by_xz | by_yz | by_corner);
    return 8 * corner - 4 * edges + 2 * faces - 1;
}

static int keeps_euler_characteristic(uint32_t set)
{
    int sum = 0;
    for (int z = -9; z <= 9; z += 18)
        for (int y = -3; y <= 3; y += 6)
            for (int x = -1; x <= 1; x += 2) sum += added_in_octant(set, x, y, z);
    return sum == 0;
}

/* Whether the cubes around one hang together by faces, edges and corners. */
static int is_one_piece(uint32_t set)
{
    const uint32_t left = 0x1249249, right = left << 2, top = 0x1c0e07, bottom = top << 6;
    uint32_t piece = set & -set, before;
    do {
        before = piece;
        uint32_t wider = piece | (piece & ~right) << 1 | (piece & ~left) >> 1;
        wider |= (wider & ~bottom) << 3 | (wider & ~top) >> 3;
        piece = (wider | wider << 9 | wider >> 9) & set;
    } while (piece != before);
    return piece == set;
}

static int has_one_neighbour(uint32_t set)
{
    return set && !(set & (set - 1));
}

static int is_inside(const uint8_t *cube, int64_t row, int64_t plane)
{
    return cube[-1] && cube[1] && cube[-row] && cube[row] && cube[-plane] && cube[plane];
}

/* Find what may go of a row whose neighbours toward one side are empty; it returns how many there are. */
static int64_t candidates_of_row(const struct thinning *job, int64_t index, int64_t toward, int64_t *candidates)
{
    const int64_t row = job->row, plane = row * job->rows_of_plane;
    uint8_t *cube = job->cubes + index * row, *end = cube + row;
    int64_t found = 0;
    int may_go_later = 0;
    for (; (cube = memchr(cube, IS_SET, end - cube)); cube++) {
        int stays;
        if (cube[toward]) {
            stays = is_inside(cube, row, plane);
        } else {
            uint32_t set = around(cube, row, plane);
            stays = has_one_neighbour(set) || !is_one_piece(set) || !keeps_euler_characteristic(set);
            if (!stays) candidates[found++] = cube - job->cubes;
        }
        if (stays) *cube |= STAYS;
        else may_go_later = 1;
    }
    job->rows[index] = may_go_later;
    return found;
}

static void take_away(const struct thinning *job, int64_t index)
{
    job->cubes[index] = 0;
    for (int64_t z = -1; z <= 1; z++)
        for (int64_t y = -1; y <= 1; y++) {
            int64_t rows = z * job->rows_of_plane + y;
            uint8_t *cube = job->cubes + index + rows * job->row;
            job->rows[index / job->row + rows] = 1;
            for (int x = -1; x <= 1; x++) cube[x] &= IS_SET;
        }
}

void thin(struct thinning *job)
{
    const int64_t row = job->row, plane = row * job->rows_of_plane, rows = job->planes * job->rows_of_plane;
    const int64_t toward[SIDES] = {-row, row, 1, -1, plane, -plane};
    for (int side = 0, unchanged = 0; unchanged < SIDES; side = (side + 1) % SIDES) {
        int64_t count = 0;
        for (int64_t index = 0; index < rows; index++)
            if (job->rows[index]) count += candidates_of_row(job, index, toward[side], job->candidates + count);
        unchanged++;
        for (int64_t i = 0; i < count; i++)
            if (is_one_piece(around(job->cubes + job->candidates[i], row, plane))) {
                take_away(job, job->candidates[i]);
                unchanged = 0;
            }
    }
}
