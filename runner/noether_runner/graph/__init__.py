"""What a composition is: its document, nodes, identity, and how its references are resolved."""
