"""What can be said of a site without running it: findings, and cases run offline."""
