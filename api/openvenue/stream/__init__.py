"""The stream process: order updates and market data over WebSockets. It takes no orders."""
