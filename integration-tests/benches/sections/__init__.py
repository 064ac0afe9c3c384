"""One section of the benchmark a module: `async def run(bench)`, see ../README.md."""
