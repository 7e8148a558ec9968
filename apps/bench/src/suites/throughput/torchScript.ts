// The peer of the throughput suite: PGD in PyTorch on the CPU, one batch in memory, one line of JSON for every order on stdin.
//   start:  {"weights": path, "architecture": ..., "mean": [...], "std": [...], "images": path, "count": n, "batch": b,
//            "epsilon": e, "steps": k, "threads": t}  ->  {"ready": version}  or {"absent": reason}
//   run:    {}  ->  {"correct": images classified correctly under the attack}
// The attack is that of @worstcase/attacks with restarts: 0, schedule: "constant" and stopWhenFooled: false: a gradient for the FGSM point,
// k projected sign steps with a gradient each, the best point kept, one last forward pass.

export const torchScript = `
import sys, json
try:
    import numpy as np, torch
    from torch import nn
    import torch.nn.functional as F
    from safetensors.torch import load_file
except ImportError as error:
    print(json.dumps({"absent": str(error)}), flush=True)
    sys.exit(0)

def norm(c): return nn.BatchNorm2d(c)
def conv(i, o, s): return nn.Conv2d(i, o, 3, stride=s, padding=1, bias=False)

class Post(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2, self.s, self.pad = conv(i, o, s), norm(o), conv(o, o, 1), norm(o), s, (o - i) // 2
    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        side = x if self.s == 1 else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + side)

class Pre(nn.Module):
    def __init__(self, i, o, s):
        super().__init__()
        self.bn1, self.conv1, self.bn2, self.conv2 = norm(i), conv(i, o, s), norm(o), conv(o, o, 1)
        self.shortcut = nn.Sequential(nn.Conv2d(i, o, 1, stride=s, bias=False)) if s != 1 or i != o else None
    def forward(self, x):
        a = F.relu(self.bn1(x))
        side = x if self.shortcut is None else self.shortcut(a)
        return self.conv2(F.relu(self.bn2(self.conv1(a)))) + side

class Net(nn.Module):
    def __init__(self, block, widths, depth, weights):
        super().__init__()
        self.conv1 = conv(3, widths[0], 1)
        self.bn1 = norm(widths[0]) if block is Post else None
        i = widths[0]
        for k, o in enumerate(widths):
            blocks = []
            for j in range(depth):
                blocks.append(block(i, o, 2 if k > 0 and j == 0 else 1))
                i = o
            setattr(self, "layer%d" % (k + 1), nn.Sequential(*blocks))
        self.stages = len(widths)
        self.bn = norm(i) if "bn.weight" in weights else None
        self.linear = nn.Linear(i, weights["linear.bias"].shape[0])
    def forward(self, x):
        x = self.conv1(x)
        if self.bn1 is not None: x = F.relu(self.bn1(x))
        for k in range(self.stages): x = getattr(self, "layer%d" % (k + 1))(x)
        if self.bn is not None: x = F.relu(self.bn(x))
        return self.linear(x.mean(dim=(2, 3)))

job = json.loads(sys.stdin.readline())
torch.set_num_threads(job["threads"])
weights = load_file(job["weights"])
net = Net(Post, [16, 32, 64], 3, weights) if job["architecture"] == "resnet20" else Net(Pre, [64, 128, 256, 512], 2, weights)
missing = [name for name in net.load_state_dict(weights, strict=False).missing_keys if "num_batches" not in name]
assert not missing, missing
net.eval()
for p in net.parameters(): p.requires_grad_(False)
mean, std = (torch.tensor(job[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
model = lambda x: net((x - mean) / std)
raw = np.fromfile(job["images"], dtype=np.uint8, count=3073 * job["count"]).reshape(-1, 3073)
labels = torch.tensor(raw[:, 0].astype(np.int64))
images = torch.tensor(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255))
epsilon, steps = job["epsilon"], job["steps"]

def attack(x, y):
    low, high = (x - epsilon).clamp(0, 1), (x + epsilon).clamp(0, 1)
    best, found = x.clone(), torch.full((len(x),), -float("inf"))
    def keep(v, loss):
        better = loss > found
        found[better] = loss[better]
        best[better] = v[better]
    def gradient(v):
        v = v.detach().requires_grad_(True)
        loss = F.cross_entropy(model(v), y, reduction="none")
        g, = torch.autograd.grad(loss.sum(), v)
        keep(v.detach(), loss.detach())
        return g
    v = torch.where(gradient(x) > 0, high, low)
    for _ in range(steps):
        v = torch.maximum(torch.minimum(v + 2.5 * epsilon / steps * gradient(v).sign(), high), low)
    with torch.no_grad(): keep(v, F.cross_entropy(model(v), y, reduction="none"))
    with torch.no_grad(): return (model(best).argmax(1) == y).sum().item()

print(json.dumps({"ready": torch.__version__}), flush=True)
for line in sys.stdin:
    correct = sum(attack(images[i:i + job["batch"]], labels[i:i + job["batch"]]) for i in range(0, job["count"], job["batch"]))
    print(json.dumps({"correct": correct}), flush=True)
`;
