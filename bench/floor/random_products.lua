-- Asks for a random product of the first hundred thousand with every request.
local products = 100000

function init()
  math.randomseed(20250101)
end

function request()
  return wrk.format("GET", "/products/" .. math.random(products))
end
