"""One-line idioms, as tutorials have them. Statements leave their answer in ``r``.

Around them stand x (2, 3), v (3,), n (integers), b (booleans), img (2, 3, 8, 8), y (classes), w (a
leaf that requires a gradient), net (a small network) and opt (its optimiser), made by `SETUP`.
"""

SETUP = """
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch import Tensor
from torch.autograd import Variable
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset, TensorDataset, Subset, random_split
x = torch.arange(6.0).reshape(2, 3) - 2
v = torch.tensor([1.0, 2.0, 3.0])
n = torch.tensor([3, 1, 2])
b = torch.tensor([True, False, True])
img = torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
y = torch.tensor([0, 2])
w = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 3))
for p in net.parameters():
    p.data = torch.linspace(-1, 1, p.numel()).reshape(p.shape)
opt = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
"""

IDIOMS = r"""
x.size()
x.size(0)
x.size(-1)
x.shape[1]
x.shape[1:].numel()
tuple(x.size())
x.dim()
x.ndimension()
x.numel()
x.nelement()
x.dtype == torch.float32
str(x.device)
x.device.type
x.is_cuda
x.requires_grad
w.is_leaf
x.item() if x.numel() == 1 else x.tolist()
x.view(-1)
x.view(3, 2)
x.view(x.size(0), -1)
x.reshape(-1, 2)
x.flatten()
img.flatten(1).shape
torch.flatten(img, 1).shape
x.t()
x.T
x.mT
x.transpose(0, 1)
img.permute(0, 2, 3, 1).shape
img.permute(0, 2, 3, 1).contiguous().view(2, -1).shape
x.unsqueeze(0).shape
x[None].shape
x.unsqueeze(-1).squeeze(-1)
x.squeeze()
x.expand(4, 2, 3).shape
v.expand_as(x)
v.repeat(2, 2)
v.repeat_interleave(2)
torch.tile(v, (2,))
torch.cat([x, x], dim=0)
torch.cat((x, x), 1)
torch.stack([v, v])
torch.stack([v, v], dim=1)
torch.chunk(x, 3, dim=1)
x.chunk(2)
torch.split(x, 1, dim=1)
x.split([1, 2], dim=1)
x.unbind(0)
torch.flip(x, [0])
x.flip(1)
torch.roll(x, 1, 0)
x.narrow(1, 0, 2)
x.select(1, 0)
x.index_select(1, torch.tensor([0, 2]))
torch.gather(x, 1, torch.tensor([[0, 1], [2, 0]]))
x.gather(1, y.unsqueeze(1)).squeeze(1)
torch.zeros(2, 3).scatter_(1, y.view(-1, 1), 1)
torch.zeros(2, 3).scatter_(1, y.unsqueeze(1), 1.0)
x[b.nonzero().squeeze(1) % 2]
x[:, b]
x[x > 0]
x[..., 0]
x[:, ::2]
x[1, -1].item()
torch.masked_select(x, x.gt(0))
x.masked_fill(x < 0, 0)
x.masked_fill(x == 0, float("-inf"))
torch.where(x > 0, x, torch.zeros_like(x))
torch.where(x > 0)
torch.nonzero(x > 0)
(x > 0).nonzero(as_tuple=True)
torch.take(x, torch.tensor([0, 5]))
x + 1
1 - x
x * x
x / 2
x // 2
x % 2
x ** 2
-x
x @ x.t()
x.mm(x.t())
torch.mm(x, x.t())
torch.matmul(x, v)
torch.mv(x, v)
torch.dot(v, v)
torch.bmm(x.unsqueeze(0), x.t().unsqueeze(0))
torch.outer(v, v)
torch.einsum("ij,kj->ik", x, x)
torch.addmm(torch.ones(2, 2), x, x.t())
x.add(1)
torch.add(x, x, alpha=2)
x.sub(v)
x.mul(2)
x.div(2)
torch.div(x, 2, rounding_mode="floor")
x.clone().add_(1)
x.clone().mul_(2).sub_(1)
x.clone().div_(2)
x.clone().zero_()
x.clone().fill_(3)
x.clone().clamp_(0, 1)
x.clone().copy_(x * 2)
x.clamp(min=0)
x.clamp(-1, 1)
torch.clamp(x, max=0.5)
x.abs()
torch.abs(x)
x.sign()
x.exp()
torch.exp(x)
x.abs().add(1).log()
torch.log1p(x.abs())
x.abs().sqrt()
x.pow(2)
torch.pow(x, 2)
x.square()
x.sigmoid()
torch.sigmoid(x)
torch.tanh(x)
x.sin() + x.cos()
x.floor()
x.ceil()
x.round()
torch.trunc(x)
x.frac()
x.reciprocal()[x != 0]
x.abs().add(1).rsqrt()
torch.atan2(x, x + 10)
torch.lerp(x, x * 2, 0.5)
x.sum()
x.sum(0)
x.sum(dim=1, keepdim=True)
x.sum((0, 1))
x.mean()
x.mean(dim=1)
x.mean([0, 1])
img.mean(dim=(2, 3))
x.std()
x.std(dim=0)
x.var(unbiased=False)
x.var(dim=1, unbiased=False)
torch.var_mean(x, dim=1)
torch.std_mean(x)
x.prod()
x.max()
x.min()
x.max(1)
x.max(dim=1)[1]
x.max(1).values
x.max(1, keepdim=True)[1]
torch.max(x, 1)
torch.max(x, x * 2)
x.min(dim=0).indices
x.argmax()
x.argmax(dim=1)
x.argmax(1).eq(y).sum().item()
(x.argmax(1) == y).float().mean()
x.argmax(dim=1, keepdim=True)
x.amax(dim=(0, 1))
x.topk(2)
x.topk(2, dim=1)[1]
x.sort(descending=True)
torch.sort(x, dim=0)
x.argsort(1)
x.kthvalue(2)
x.median()
v.cumsum(0)
torch.cumprod(v, dim=0)
x.norm()
x.norm(p=1)
x.norm(2, dim=1)
torch.norm(x)
torch.norm(x, dim=1, keepdim=True)
torch.linalg.norm(x)
torch.dist(x, x + 1)
torch.unique(torch.tensor([1, 2, 1]))
torch.bincount(torch.tensor([0, 1, 1]))
torch.histc(x, 3)
x.any()
(x > 0).all()
torch.isnan(x).any()
torch.isfinite(x).all()
torch.allclose(x, x + 1e-9)
torch.equal(x, x.clone())
torch.isclose(x, x)
x.eq(0)
x.ne(0)
x.lt(0)
x.le(0)
x.gt(0)
x.ge(0)
torch.eq(x, 0)
torch.logical_and(x > 0, x < 2)
~b
b & (n > 1)
b | (n > 1)
torch.tril(torch.ones(3, 3))
torch.triu(torch.ones(3, 3), diagonal=1)
torch.diag(v)
torch.eye(3)
torch.trace(torch.eye(3))
torch.meshgrid(v, v, indexing="ij")
torch.zeros(2, 3)
torch.zeros((2, 3))
torch.zeros(2, dtype=torch.long)
torch.ones(2, 3, device="cpu")
torch.ones_like(x)
torch.zeros_like(x, dtype=torch.int64)
torch.full((2,), 7.0)
torch.full_like(x, 2)
torch.empty(2, 3).shape
torch.arange(5)
torch.arange(0, 1, 0.25)
torch.arange(3, dtype=torch.float32)
torch.linspace(0, 1, 5)
torch.logspace(0, 2, 3)
torch.rand(2, 3).shape
torch.randn(2, 3).size()
torch.randn(2, 3, requires_grad=True).requires_grad
torch.randint(0, 10, (3,)).shape
torch.randint(10, size=(2, 2)).dtype == torch.int64
torch.randperm(5).sort()[0]
torch.rand_like(x).shape
torch.randn_like(x).shape
torch.normal(0, 1, size=(2,)).shape
torch.bernoulli(torch.ones(2))
torch.multinomial(torch.tensor([0.0, 1.0]), 3, replacement=True)
torch.tensor([1, 2, 3])
torch.tensor([[1.0, 2.0]], dtype=torch.float64)
torch.tensor(3.14)
torch.tensor(3).item()
torch.as_tensor([1, 2])
torch.from_numpy(x.numpy())
x.numpy()
x.detach().cpu().numpy()
w.detach().numpy()
x.tolist()
torch.Tensor([1, 2])
torch.Tensor(2, 3).shape
torch.FloatTensor([1, 2])
torch.LongTensor([1, 2])
isinstance(x, torch.Tensor)
torch.is_tensor(x)
x.float()
x.double()
x.long()
x.int()
x.bool()
x.half().dtype == torch.float16
x.type(torch.float64)
x.type_as(n)
x.to(torch.float64)
x.to("cpu")
x.to(torch.device("cpu"))
x.to(device="cpu", dtype=torch.float64)
x.to("cpu", non_blocking=True)
x.cpu()
x.new_zeros(2)
x.new_tensor([1.0])
x.new_ones(2, 2)
x.new_full((2,), 3.0)
x.element_size()
x.is_contiguous()
x.t().is_contiguous()
x.stride()
x.detach().requires_grad
x.clone().detach().requires_grad_(True).requires_grad
x.data.sum()
torch.numel(x)
torch.unsqueeze(x, 0).shape
torch.squeeze(x[:1]).shape
torch.sum(x, dim=1)
torch.mean(x)
torch.argmax(x, dim=1)
torch.softmax(x, dim=1)
torch.log_softmax(x, dim=-1)
torch.relu(x)
torch.logsumexp(x, 1)
torch.cdist if hasattr(torch, "cdist") else None; r = 0
x.softmax(dim=-1)
x.log_softmax(1)
r = (w ** 2).sum(); r.backward(); r = w.grad
(w * 2).sum().backward(); r = w.grad.clone(); w.grad.zero_(); r = r + w.grad
w.grad = None; r = w.grad is None
r = torch.autograd.grad((w ** 3).sum(), w)[0]
g = torch.autograd.grad((w ** 3).sum(), w, create_graph=True)[0]; r = torch.autograd.grad(g.sum(), w)[0]
h = w * 2; h.retain_grad(); h.sum().backward(); r = h.grad
seen = []; h = w * 2; h.register_hook(lambda g: seen.append(g)); h.sum().backward(); r = seen[0]
with torch.no_grad(): w -= 0.1; r = w.detach()
with torch.no_grad(): r = (w * 2).requires_grad
with torch.enable_grad(): r = (w * 2).requires_grad
with torch.inference_mode(): r = (w * 2).requires_grad
with torch.set_grad_enabled(False): r = (w * 2).requires_grad
r = torch.is_grad_enabled()
(w * v).backward(torch.ones(3)); r = w.grad
(w * v).sum().backward(retain_graph=True); r = w.grad
Variable(x, requires_grad=True).requires_grad
r = w.grad_fn is None
r = torch.autograd.functional.jacobian(lambda t: t ** 2, v)
r = torch.autograd.functional.hessian(lambda t: (t ** 3).sum(), v)
r = torch.func.grad(lambda t: (t ** 2).sum())(v)
r = torch.func.vmap(lambda t: t.sum())(x)
r = torch.autograd.gradcheck(lambda t: t ** 2, torch.ones(2, dtype=torch.float64, requires_grad=True))
F.relu(x)
F.relu(x, inplace=False)
F.leaky_relu(x, 0.2)
F.elu(x)
F.gelu(x)
F.silu(x)
F.softplus(x)
F.softmax(x, dim=1)
F.log_softmax(x, dim=1)
F.sigmoid(x)
F.tanh(x)
F.hardtanh(x)
F.dropout(x, p=0.5, training=False)
F.dropout(x, 0.5, False)
F.linear(x, torch.ones(4, 3))
F.conv2d(img, torch.ones(2, 3, 3, 3), padding=1).shape
F.conv2d(img, torch.ones(3, 1, 3, 3), groups=3)
F.conv_transpose2d(img, torch.ones(3, 2, 2, 2), stride=2).shape
F.max_pool2d(img, 2)
F.max_pool2d(img, kernel_size=2, stride=2)
F.avg_pool2d(img, 2)
F.adaptive_avg_pool2d(img, 1)
F.adaptive_avg_pool2d(img, (1, 1)).view(2, -1)
F.interpolate(img, scale_factor=2, mode="nearest")
F.interpolate(img, size=(4, 4), mode="bilinear", align_corners=False)
F.pad(img, (1, 1, 1, 1)).shape
F.pad(img, (1, 1, 1, 1), mode="reflect")
F.batch_norm(img, torch.zeros(3), torch.ones(3))
F.layer_norm(x, (3,))
F.group_norm(img, 3)
F.normalize(x, dim=1)
F.one_hot(y, 3)
F.one_hot(y, num_classes=4).float()
F.cross_entropy(x, y)
F.cross_entropy(x, y, reduction="sum")
F.cross_entropy(x, y, label_smoothing=0.1)
F.cross_entropy(x, y, weight=v)
F.nll_loss(F.log_softmax(x, 1), y)
F.mse_loss(x, x * 2)
F.l1_loss(x, x * 2)
F.smooth_l1_loss(x, x * 2)
F.binary_cross_entropy(torch.sigmoid(x), (x > 0).float())
F.binary_cross_entropy_with_logits(x, (x > 0).float())
F.kl_div(F.log_softmax(x, 1), F.softmax(x * 2, 1), reduction="batchmean")
F.cosine_similarity(x, x * 2 + 1)
F.embedding(y, torch.eye(3))
F.unfold(img, 2).shape
F.pixel_shuffle(torch.ones(1, 4, 2, 2), 2).shape
F.scaled_dot_product_attention(x[None], x[None], x[None])
F.nll_loss(F.log_softmax(x, 1), y, size_average=False)
net(x)
net(x).shape
net.train().training
net.eval().training
net.zero_grad()
net.zero_grad(set_to_none=True)
len(list(net.parameters()))
sum(p.numel() for p in net.parameters())
sum(p.numel() for p in net.parameters() if p.requires_grad)
[name for name, _ in net.named_parameters()]
[name for name, _ in net.named_children()]
[type(m).__name__ for m in net.modules()]
[name for name, _ in net.named_modules()]
list(net.state_dict())
net.state_dict()["0.weight"].size()
r = {k: t.clone() for k, t in net.state_dict().items()}["2.bias"]
net.load_state_dict(net.state_dict()); r = 1
net[0].weight.data.fill_(0.5); r = net[0].weight.detach()
net[0].weight.data.normal_(0, 0.02); r = net[0].weight.shape
nn.init.xavier_uniform_(net[0].weight); r = net[0].weight.shape
nn.init.constant_(net[0].bias, 0); r = net[0].bias.detach()
nn.init.kaiming_normal_(net[0].weight, mode="fan_out", nonlinearity="relu"); r = 0
net.apply(lambda m: m.bias.data.fill_(0) if isinstance(m, nn.Linear) else None); r = net[2].bias.detach()
for p in net.parameters(): p.requires_grad = False; r = net(x).requires_grad
for p in net[0].parameters(): p.requires_grad_(False); r = net(x).requires_grad
net.to("cpu")(x)
net.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))(x)
net.double()(x.double())
net.half().float()(x)
seen = []; net[1].register_forward_hook(lambda m, i, o: seen.append(o)); net(x); r = seen[0]
seen = []; net[1].register_forward_pre_hook(lambda m, i: seen.append(i[0])); net(x); r = seen[0]
seen = []; net[2].register_full_backward_hook(lambda m, gi, go: seen.append(go[0])); net(x).sum().backward(); r = seen[0]
nn.Sequential(*list(net.children())[:-1])(x)
net.add_module("last", nn.ReLU()); r = net(x)
nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])[0].weight.shape
nn.ModuleDict({"a": nn.Linear(3, 2)})["a"].in_features
nn.Parameter(torch.ones(2)).requires_grad
nn.Parameter(torch.randn(2, 2), requires_grad=False).requires_grad
nn.ParameterList([nn.Parameter(torch.ones(1))])[0].item()
nn.Conv2d(3, 8, kernel_size=3, stride=1, padding=1, bias=False)(img).shape
nn.Conv2d(in_channels=3, out_channels=8, kernel_size=(3, 3), padding="same")(img).shape
nn.ConvTranspose2d(3, 4, 4, 2, 1, bias=False)(img).shape
nn.BatchNorm2d(3)(img)
nn.BatchNorm2d(3).eval()(img)
nn.LayerNorm(3)(x)
nn.GroupNorm(1, 3)(img)
nn.InstanceNorm2d(3)(img)
nn.ReLU(inplace=True)(x.clone())
nn.ReLU(True)(x.clone())
nn.LeakyReLU(0.2, inplace=True)(x.clone())
nn.Sigmoid()(x)
nn.Tanh()(x)
nn.Softmax(dim=1)(x)
nn.LogSoftmax(dim=1)(x)
nn.GELU()(x)
nn.PReLU()(x)
nn.Dropout(0.5).eval()(x)
nn.Dropout2d(p=0.25).eval()(img)
nn.MaxPool2d(2, 2)(img)
nn.MaxPool2d(kernel_size=3, stride=2, padding=1)(img)
nn.AvgPool2d(2)(img)
nn.AdaptiveAvgPool2d((1, 1))(img)
nn.AdaptiveAvgPool2d(1)(img).flatten(1)
nn.Flatten()(img).shape
nn.Identity()(x)
nn.Upsample(scale_factor=2)(img).shape
nn.ZeroPad2d(1)(img).shape
nn.ReflectionPad2d(1)(img).shape
nn.PixelShuffle(2)(torch.ones(1, 4, 2, 2)).shape
nn.Embedding(4, 2)(y).shape
nn.LazyLinear(4)(x).shape
nn.CrossEntropyLoss()(x, y)
nn.CrossEntropyLoss(reduction="none")(x, y)
nn.NLLLoss()(F.log_softmax(x, 1), y)
nn.MSELoss()(x, x + 1)
nn.MSELoss(reduction="sum")(x, x + 1)
nn.MSELoss(size_average=False)(x, x + 1)
nn.L1Loss()(x, x + 1)
nn.BCELoss()(torch.sigmoid(x), (x > 0).float())
nn.BCEWithLogitsLoss()(x, (x > 0).float())
nn.SmoothL1Loss()(x, x + 2)
nn.TripletMarginLoss()(x, x + 1, x - 1)
opt.zero_grad(); F.cross_entropy(net(x), y).backward(); opt.step(); r = net[0].bias.detach()
optim.Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999)).param_groups[0]["lr"]
optim.AdamW(net.parameters(), weight_decay=0.01).defaults["weight_decay"]
optim.SGD([{"params": net[0].parameters()}, {"params": net[2].parameters(), "lr": 1e-3}], lr=0.1).param_groups[1]["lr"]
optim.RMSprop(net.parameters(), lr=0.01).param_groups[0]["alpha"]
for g in opt.param_groups: g["lr"] = 0.05; r = opt.param_groups[0]["lr"]
sorted(opt.state_dict())
opt.load_state_dict(opt.state_dict()); r = 1
s = lr_scheduler.StepLR(opt, step_size=1, gamma=0.1); opt.step(); s.step(); r = s.get_last_lr()[0]
s = lr_scheduler.MultiStepLR(opt, milestones=[1, 3]); opt.step(); s.step(); r = opt.param_groups[0]["lr"]
s = lr_scheduler.CosineAnnealingLR(opt, T_max=10); opt.step(); s.step(); r = s.get_last_lr()[0]
s = lr_scheduler.LambdaLR(opt, lambda e: 0.95 ** e); opt.step(); s.step(); r = s.get_last_lr()[0]
s = lr_scheduler.ReduceLROnPlateau(opt, "min"); s.step(1.0); r = opt.param_groups[0]["lr"]
s = lr_scheduler.OneCycleLR(opt, 0.1, epochs=2, steps_per_epoch=5); opt.step(); s.step(); r = s.get_last_lr()[0]
net(x).sum().backward(); r = nn.utils.clip_grad_norm_(net.parameters(), 1.0)
net(x).sum().backward(); nn.utils.clip_grad_value_(net.parameters(), 0.1); r = net[0].weight.grad
nn.utils.parameters_to_vector(net.parameters()).shape
len(TensorDataset(x, y))
TensorDataset(x, y)[1]
next(iter(DataLoader(TensorDataset(x, y), batch_size=2)))
len(DataLoader(TensorDataset(x, y), batch_size=1, shuffle=True, num_workers=0, pin_memory=False))
[t.size(0) for t, _ in DataLoader(TensorDataset(torch.ones(5, 2), torch.ones(5)), 2, drop_last=True)]
[len(s) for s in random_split(TensorDataset(torch.ones(10)), [7, 3], generator=torch.Generator().manual_seed(0))]
len(Subset(TensorDataset(x, y), [0]))
torch.manual_seed(0) is not None
torch.cuda.is_available()
torch.cuda.manual_seed_all(1)
torch.backends.cudnn.deterministic = True; r = 0
torch.backends.cudnn.benchmark = False; r = 0
torch.device("cuda:0" if torch.cuda.is_available() else "cpu").type
with torch.autocast("cpu", enabled=False): r = net(x)
s = torch.amp.GradScaler("cuda", enabled=False); r = s.scale(v)
r = torch.utils.checkpoint.checkpoint(net, x, use_reentrant=False)
r = torch.jit.is_scripting()
r = torch.get_default_dtype() == torch.float32
torch.set_num_threads(1); r = torch.get_num_threads()
torch.finfo(torch.float32).eps
torch.iinfo(torch.int64).max
math.isinf(torch.inf)
torch.Size([2, 3]) == x.shape
len(torch.__version__) > 0
f"{x.mean():.4f}"
f"{F.mse_loss(x, x + 1).item():.3f}"
x.mean().item() < 5
float(x.sum())
int(n[0])
[t.item() for t in v]
len(x)
x.sum().backward if False else None; r = 0
max(v).item()
sum(v).item()
x.unsqueeze(1).expand(-1, 4, -1).shape
torch.triu(torch.full((3, 3), float("-inf")), 1)
x.view(2, 1, 3).expand(2, 2, 3).reshape(4, 3)
torch.argsort(v, descending=True)
(x - x.mean(0)) / x.std(0)
torch.corrcoef(x)
torch.linalg.inv(torch.eye(3) * 2)
torch.linalg.svd(x)[1]
torch.isin(n, torch.tensor([1, 2]))
x.nan_to_num()
torch.maximum(x, -x)
x.count_nonzero()
torch.cross(v, torch.tensor([0.0, 1.0, 0.0]), dim=0)
x.fmod(2)
torch.floor_divide(x, 2)
x.diff()
torch.searchsorted(v, 2.5)
torch.hstack([x, x])
torch.vstack([x, x])
torch.unflatten(v, 0, (3, 1))
x.movedim(0, 1)
x.swapaxes(0, 1)
x.clone().index_fill_(1, torch.tensor([0]), 9)
x.index_add(0, torch.tensor([0, 0]), x)
torch.scatter(torch.zeros(2, 3), 1, y.view(-1, 1), 1.0)
torch.zeros(2, 3).scatter_add_(1, y.view(-1, 1), torch.ones(2, 1))
"""
