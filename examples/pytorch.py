"""A PyTorch program as a trial: a small network on made-up data, with checkpoint, resume and stop.

    npx wattsweep up --allow-command python3 my-sweep.yaml

where my-sweep.yaml has `command: [python3, examples/pytorch.py]` and sweeps `lr` and `batch_size`. By hand it runs, too.
"""
import os

import torch
import wattsweep_report as wattsweep

settings = wattsweep.parameters(lr=0.1, batch_size=32)
wattsweep.on_stop()
torch.manual_seed(wattsweep.seed())

inputs = torch.randn(2048, 16)
labels = (inputs[:, :4].sum(dim=1) > 0).long()
train, held_out = slice(0, 1536), slice(1536, 2048)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=settings["lr"])

done = 0
if wattsweep.resume_from():
    path = os.path.join(wattsweep.resume_from(), "state.pt")
    if os.path.exists(path):
        state = torch.load(path, map_location=device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        done = state["epoch"]

for epoch in range(done + 1, wattsweep.max_epochs(5) + 1):
    for rows in torch.randperm(1536).split(settings["batch_size"]):
        loss = torch.nn.functional.cross_entropy(model(inputs[rows].to(device)), labels[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        guessed = model(inputs[held_out].to(device)).argmax(dim=1)
        val_accuracy = (guessed == labels[held_out].to(device)).float().mean()
    if wattsweep.checkpoint_dir():
        state = {"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        path = os.path.join(wattsweep.checkpoint_dir(), "state.pt")
        torch.save(state, path + ".new")
        os.replace(path + ".new", path)
    wattsweep.report(epoch, val_accuracy=val_accuracy, loss=loss)
    if wattsweep.stop_requested():
        break
