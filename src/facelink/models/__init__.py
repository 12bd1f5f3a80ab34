"""Stage 4: link models, which judge the 1-hop nodes of Instance Pivot Subgraphs."""
