"""What knows the paper: the published study of cassava leaf disease."""
