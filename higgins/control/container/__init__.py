"""The parts that ``control.containers`` is made of: what a request may say, the spec it becomes, and how a wish is written."""
