#include "Collision/BoundingIntervalHierarchy.h"
#include <algorithm>
#include <stdexcept>

void BIH::build(std::vector<AABox> const& primitives)
{
    _leaves = 0;
    _clipped = 0;
    if (primitives.empty())
        return;
    AABox bounds = primitives.front();
    for (AABox const& box : primitives)
        for (int axis = 0; axis < 3; ++axis)
        {
            bounds.lo[axis] = std::min(bounds.lo[axis], box.lo[axis]);
            bounds.hi[axis] = std::max(bounds.hi[axis], box.hi[axis]);
        }
    std::vector<AABox> boxes = primitives;
    subdivide(boxes.begin(), boxes.end(), bounds, bounds, 1);
}

TC_NOINLINE void BIH::subdivide(std::vector<AABox>::iterator left, std::vector<AABox>::iterator right, AABox gridBox, AABox nodeBox, int depth)
{
    for (int axis = 0; axis < 3; ++axis)
        if (nodeBox.hi[axis] < gridBox.lo[axis] || nodeBox.lo[axis] > gridBox.hi[axis])
            throw std::logic_error("invalid node overlap");

    int axis = 0;
    for (int other = 1; other < 3; ++other)
        if (gridBox.hi[other] - gridBox.lo[other] > gridBox.hi[axis] - gridBox.lo[axis])
            axis = other;
    float const split = 0.5f * (gridBox.lo[axis] + gridBox.hi[axis]);
    auto const middle = std::partition(left, right, [=](AABox const& box) { return 0.5f * (box.lo[axis] + box.hi[axis]) < split; });
    bool const isLeaf = static_cast<std::size_t>(right - left) <= MaxPrimitivesPerLeaf || depth > 32;
    if (isLeaf || middle == left || middle == right)
    {
        ++_leaves;
        return;
    }

    float leftClip = gridBox.lo[axis];
    float rightClip = gridBox.hi[axis];
    for (auto box = left; box != middle; ++box)
        leftClip = std::max(leftClip, box->hi[axis]);
    for (auto box = middle; box != right; ++box)
        rightClip = std::min(rightClip, box->lo[axis]);

    _clipped += rightClip > leftClip ? 1 : 0;

    AABox leftGrid = gridBox, leftNode = nodeBox, rightGrid = gridBox, rightNode = nodeBox;
    leftGrid.hi[axis] = split;
    leftNode.hi[axis] = leftClip;
    rightGrid.lo[axis] = split;
    rightNode.hi[axis] = leftClip;
    subdivide(left, middle, leftGrid, leftNode, depth + 1);
    subdivide(middle, right, rightGrid, rightNode, depth + 1);
}
