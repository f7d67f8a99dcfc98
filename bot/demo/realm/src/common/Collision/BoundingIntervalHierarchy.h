#pragma once

#include "Define.h"
#include <cstddef>
#include <vector>

struct AABox
{
    float lo[3];
    float hi[3];
};

// A tree of boxes that halves space again and again, and clips each half to what lies in it.
class BIH
{
public:
    static constexpr std::size_t MaxPrimitivesPerLeaf = 2;

    // Throws std::logic_error when the geometry makes no sense.
    void build(std::vector<AABox> const& primitives);
    std::size_t leafCount() const { return _leaves; }

private:
    void subdivide(std::vector<AABox>::iterator left, std::vector<AABox>::iterator right, AABox gridBox, AABox nodeBox, int depth);

    std::size_t _leaves = 0;
    std::size_t _clipped = 0; // nodes with a gap between their halves
};
