local contract = require "spec.driver.contract"
local host = require "spec.driver.host"

contract.describe_here("cqueues", host.cqueues())
