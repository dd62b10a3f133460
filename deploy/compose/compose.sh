docker_up() { :; }
