"""What knows the published study."""
