"""From one region or season to another: what a map model loses, whether that is sure, whether it can be foreseen."""
