"""The engine that runs a network in part: it computes only what differs from a base image.

A network becomes a program once; the program then runs whole or in part:

    network --trace--> graph --passes--> smaller graph --compile--> steps: a Program
          one pass is        norms folded,           each with its cost,
          recorded           layers fused            its inputs and its memory

      whole run: run, run_base              partial run: run_changed
      the base image                        pixels that changed inside a box
    +----------------+                    +----------------+
    |                |                    |      +--+      |  the box of the caller
    |                |                    |      +--+      |
    +-------+--------+                    +-------+--------+
            |  step 1: 3x3 convolution            |
    +-------+--------+                    +-------+--------+
    |                | -- activation 1 -> |     +----+     |  the box has grown by one cell
    |                |                    |     +----+     |  each way; outside is the base
    +-------+--------+                    +-------+--------+
            |  step 2: pooling, stride 2          |
        +---+----+                            +---+----+
        |        |  -- activation 2 ->        |  +--+  |      half as many cells each way
        +---+----+                            +---+----+
            |  step 3: global mean                |
           +++                                   +++
           +++       -- activation 3 ->          +++           every cell can differ: a full box

Boxes grow layer by layer (`Program.grow_boxes`). A box of 80 % of a map or more grows to the full
map. A step reads its inputs as patches: `Whole` maps in a whole run; in a partial run maps that are
`Changed` from the base inside a box, or the `Same` as the base. The base's activations are used

  - where a window at the border of a box also sees cells outside it (pooling),
  - where maps with different boxes meet (concatenation, arithmetic),
  - where a step reads a full map (global mean, or a box that has grown to the full map),
  - where values are read after a convolution: it is linear and works on differences to the base.

Modules, each importing only earlier ones and those beside it:
  boxes, patches                                 rectangles of cells, and maps held in part
  layers, kernel                                 what a step can do; how a window slides
  pointwise, convolution, point_convolution,
  pooling, padding, concatenation                the kinds of steps
  graph, lowering, trace, passes                 from a network to a small graph
  program, compile                               the steps and both runs; all of it together
  workers                                        threads, each with one processor

Source: Nakandala et al., Incremental and approximate inference for faster occlusion-based deep CNN
explanations, SIGMOD 2019.
"""
