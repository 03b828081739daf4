"""The interfaces of other Gearman libraries on top of this one, for programs that switch by changing an import."""
