"""Scripts of the house: building, publishing, generating. The Makefile calls them."""
