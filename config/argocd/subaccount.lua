-- Healthy, Progressing and Degraded correspond to Current, InProgress and Failed of kstatus. Only Argo CD has Suspended.
local hs = { status = "Progressing", message = "The operator has not reconciled the resource yet." }
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
  return hs -- the conditions may describe an earlier generation
end
if conditions.Stalled ~= nil and conditions.Stalled.status == "True" then
  hs.status = "Degraded"
elseif ready.status == "True" then
  hs.status = "Healthy"
end
return hs
