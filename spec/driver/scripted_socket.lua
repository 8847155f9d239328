--- A cosocket whose server follows a script: an array of texts, which arrive one by one, and of numbers, which are
--- seconds that pass in between. At the end of the script, the socket has the problem `problem`, or is closed.
local scripted_socket = {}

local Socket = {}
Socket.__index = Socket

--- @param script table
--- @param wait function|nil called with the seconds that pass
function scripted_socket.new(script, wait)
  return setmetatable({ script = script, at = 0, buffer = "", first = 1, sent = {}, wait = wait or function() end },
    Socket)
end

--- Takes the next step of the script. Returns false at its end.
function Socket:fill()
  self.at = self.at + 1
  local step = self.script[self.at]
  if type(step) == "function" then step = step(self) end
  if step == nil then return false end
  if type(step) == "number" then
    self.wait(step)
  else
    self.buffer, self.first = self.buffer:sub(self.first) .. step, 1
  end
  return true
end

--- Returns what a cosocket's functions return at the end of the script.
function Socket:ended()
  local part = self:take(self:held())
  return nil, self.script.problem or "closed", part
end

--- Returns the number of bytes that have arrived, and that nobody has taken.
function Socket:held()
  return #self.buffer - self.first + 1
end

function Socket:take(count)
  local text = self.buffer:sub(self.first, self.first + count - 1)
  self.first = self.first + count
  return text
end

function Socket:send(text)
  self.sent[#self.sent + 1] = text
  if self.script.unsent then return nil, self.script.unsent end
  return #text
end

function Socket:receive(count)
  while self:held() < count do
    if not self:fill() then return self:ended() end
  end
  return self:take(count)
end

function Socket:receiveuntil(pattern)
  local reached = false
  return function(count)
    while not reached do
      local place = self.buffer:find(pattern, self.first, true)
      local before = place and place - self.first
      if before and before < count then
        local text = self:take(before)
        self:take(#pattern)
        if text == "" then return nil end
        reached = true
        return text
      end
      if before or self:held() >= count + #pattern - 1 then return self:take(count) end
      if not self:fill() then return self:ended() end
    end
    reached = false
    return nil
  end
end

return scripted_socket
