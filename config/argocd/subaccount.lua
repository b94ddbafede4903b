-- Healthy, Progressing and Degraded where kstatus says Current, InProgress and Failed; Suspended is Argo CD's own.
local hs = { status = "Progressing", message = "Nobody has looked at it yet." }
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end
local ready = conditions.Ready
if ready == nil then
  return hs
end
hs.message = ready.reason .. ": " .. ready.message
if obj.metadata.deletionTimestamp ~= nil then
  return hs
end
if obj.spec.suspend == true and ready.reason == "Suspended" then
  hs.status = "Suspended" -- kstatus says InProgress: the spec is not applied
  return hs
end
if obj.status.observedGeneration ~= obj.metadata.generation then
  return hs -- of what was before, if it is not this generation's
end
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  hs.status = "Degraded"
elseif ready.status == "True" then
  hs.status = "Healthy"
end
return hs
