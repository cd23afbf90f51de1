"""Do maps depend on what they claim to: on the weights, on the query, and on nothing else?"""
