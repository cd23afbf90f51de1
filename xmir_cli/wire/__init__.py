"""What travels between the commands: records, the model behind them, the columns of items."""
