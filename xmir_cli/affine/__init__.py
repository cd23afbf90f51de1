"""What an image itself decided is held, and the network becomes affine: its shares are exact.

One forward pass decides the attention weights, the deviations of the norms, the gate f(x) / x of
every pointwise function and the cells that a maximum takes. Held as constants, they leave a network
that is affine in any of its own inner tensors t, such as the tokens before the first block:

    e = J t + c     u_j = J_j t_j is what token j writes into the embedding, c what constants write

A product of two factors that both depend on the image counts half with either held; so it stays
exact, whatever the family. What no rule knows and is not affine shows when the parts are summed.

Modules, each importing only earlier ones:
  holding            a mode that records what is held, and replays it
  norms, attention   what is held of these
  rules              the table of all functions, and what is held of the others
  direct             other rules: what the values of attention write, past all blocks behind
  passes             passes that are watched, not changed
  survey             which tensors of a pass can be shared out: first tokens, maps of a size
  form               the affine form of an image: shares pulled back, parts pushed forward, a rest
  blame              the first function that keeps a sum from being exact
  watching           the attention weights of a pass by themselves

Sources: Ali et al., XAI for transformers, ICML 2022 (attention and deviations held); Achtibat et
al., AttnLRP, ICML 2024 (gates, halves of products); Gandelsman et al., Interpreting CLIP's image
representation, ICLR 2024 (direct writes).
"""
