"""What the network looks at: attributions by class, band and place, held against causes that are known in fiction."""
