from tierstore.cli import main

main()
